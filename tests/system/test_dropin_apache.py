"""Debian's Apache, event MPM, with its keys in immured, as docs/guides/apache.md says."""

import os
import signal

import dropin
import dropin_servers
import harness

START = '. "$1/envvars" && exec /usr/sbin/apache2 -d "$1" -D FOREGROUND'


@harness.needs("apache2", "a2enmod", "curl")
class Apache(dropin_servers.HttpsServerTests, dropin.DropIn):
    GUIDE = "apache"
    UNIT = "apache2"
    USER = "www-data"
    CERTIFICATE = "/etc/apache2/example.org.crt"
    KEYS_MISMATCH = "do not match"
    LOG = "/var/log/apache2/error.log"
    ENDS = 1  # Apache exits if a graceful restart fails to load a key

    def set_up_server(self):
        self.table["/etc/mime.types"] = "/etc/mime.types"
        self.copy_etc("apache2", ("/etc/apache2/ports.conf", "Listen 80\n", ""))
        for folder in ("/var/run/apache2", "/var/log/apache2", "/var/lib/apache2"):
            os.makedirs(self.path_of(folder))
        etc = self.path_of("/etc/apache2")
        self.environment.update(APACHE_CONFDIR=etc, APACHE_STATEDIR=self.path_of("/var/lib/apache2"))
        self.units["apache2"] = dropin.Unit(self, ["/bin/sh", "-c", START, "sh", etc], self.accepts,
                                            reload=signal.SIGUSR1)

    def test_it_is_the_event_mpm(self):
        self.assertTrue(os.path.exists("/etc/apache2/mods-enabled/mpm_event.load"))


if __name__ == "__main__":
    harness.main()

"""Debian's nginx with its keys in immured, as docs/guides/nginx.md says."""

import subprocess

import dropin
import dropin_servers
import harness


@harness.needs("nginx", "curl")
class Nginx(dropin_servers.HttpsServerTests, dropin.DropIn):
    GUIDE = "nginx"
    CERTIFICATE = "/etc/nginx/example.org.crt"
    USER = "www-data"
    UNKNOWN = "cannot load certificate key .*No supported data to decode"
    LOG = "/var/log/nginx/error.log"

    def set_up_server(self):
        self.units["nginx"] = dropin.Unit(self, [*dropin_servers.set_up_nginx(self), "-g", "daemon off;"],
                                          self.accepts)

    def test_without_the_provider(self):
        """What an nginx says that was started before openssl.cnf was changed."""
        self.server("p-256")
        done = subprocess.run(["/usr/sbin/nginx", "-t", "-c", self.path_of("/etc/nginx/nginx.conf")],
                              env={"PATH": "/usr/sbin"}, capture_output=True, text=True,
                              timeout=harness.LIMIT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, self.UNKNOWN)


if __name__ == "__main__":
    harness.main()

"""A server in Python, four processes of three threads each, as docs/guides/python.md says."""

import os
import re
import signal
import subprocess

import dropin
import dropin_servers
import harness
import proc


class Group(dropin.Unit):
    """A unit whose signals go to all its processes."""

    def start(self):
        super().start()
        self.program.signal = lambda number: os.killpg(self.program.pid, number)


@harness.needs("curl", "setpriv")
class Python(dropin_servers.HttpsServerTests, dropin.DropIn):
    GUIDE = "python"
    UNIT = "server"
    HINT = ("runuser -u www-data -- immure check /srv/example.org.ref; "
            "runuser -u www-data -- immure key test example.org")
    USER = "www-data"
    CERTIFICATE = "/srv/example.org.crt"

    def set_up_server(self):
        self.table["/srv/"] = self.path_of("/srv/")
        self.write("/srv/example.org.crt", "")
        self.units["server"] = Group(
            self, ["/usr/bin/setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups",
                   "/usr/bin/python3", self.path_of("/srv/server.py")],
            self.accepts, status=-signal.SIGTERM)

    def errors(self):
        return self.unit.program.log()

    def assert_reloads(self):
        harness.wait_until(lambda: {proc.threads(pid) for pid in self.unit.processes()} == {4},
                           "three threads and the first in each process")
        self.unit.reload()
        for version in dropin.VERSIONS:
            self.exchange(version)

    def assert_logged(self, text):
        """Of OpenSSL's errors Python shows the last one only; immured and its tool know the first."""
        said = {"the key reference is damaged": "PEM lib"}.get(text, "EVP lib|internal error|" + text)
        harness.wait_until(lambda: re.search(said, self.errors()), lambda: f"{said} in {self.errors()}")
        hint = {"no connection to immured": "Connection refused|No such file",
                "immured does not have this key": "immured does not have this key",
                "immured does not serve this user": "may not use",
                "the key's policy does not allow it": "TLS 1.3 client"}.get(text)
        if hint:
            done = subprocess.run(["bash", "-c", self.substitute(self.HINT)], env=self.environment, text=True,
                                  capture_output=True, timeout=harness.LIMIT, check=False)
            self.assertRegex(done.stdout + done.stderr, hint)

    def reload_with(self, reference):
        self.write("/srv/example.org.ref", reference)
        self.unit.reload()


if __name__ == "__main__":
    harness.main()

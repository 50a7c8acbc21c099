"""A server in Python, four processes of three threads each, as docs/guides/python.md says."""

import os
import signal

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
class Python(dropin_servers.Https, dropin_servers.SilentServerTests, dropin.DropIn):
    GUIDE = "python"
    UNIT = "server"
    USER = "www-data"
    CERTIFICATE = "/srv/example.org.crt"
    SAYS = "EVP lib|internal error"  # of OpenSSL's errors the last one only
    DAMAGED = "PEM lib"

    def set_up_server(self):
        self.table["/srv/"] = self.path_of("/srv/")
        self.write("/srv/example.org.crt", "")
        self.units["server"] = Group(
            self, [*dropin.as_user("www-data"), "/usr/bin/python3", self.path_of("/srv/server.py")],
            self.accepts, status=-signal.SIGTERM)

    def assert_reloads(self):
        harness.wait_until(lambda: {proc.threads(pid) for pid in self.unit.processes()} == {4},
                           "three threads and the first in each process")
        self.unit.reload()
        for version in dropin.VERSIONS:
            self.exchange(version)


if __name__ == "__main__":
    harness.main()

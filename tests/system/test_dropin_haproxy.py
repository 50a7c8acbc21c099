"""Debian's HAProxy with its keys in immured, as docs/guides/haproxy.md says."""

import os
import re
import signal
import socket
import subprocess
import threading

import dropin
import dropin_servers
import harness
import proc

# The first fails where / is no mount point, in a chroot, from which nothing propagates.
MOUNTED = ('mount --make-rprivate / 2>/dev/null || :; '
           'mkdir -p "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"')


class LogSocket:
    """What came for /dev/log, here over UDP."""

    def __init__(self):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.text = ""
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            try:
                line = self.socket.recv(65536)
            except OSError:
                return
            if not line:
                return
            self.text += line.decode(errors="replace") + "\n"

    def close(self):
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.socket.close()


@harness.needs("haproxy", "curl")
class HAProxy(dropin_servers.HttpsServerTests, dropin.DropIn):
    GUIDE = "haproxy"
    OPTIONAL = ("Asynchronous",)
    USER = "haproxy"
    CERTIFICATE = "/etc/haproxy/example.org.crt"
    KEYS_MISMATCH = "inconsistencies between private key and certificate"
    DAMAGED = "No Private Key found in"

    def set_up_server(self):
        self.log = self.own(LogSocket())
        self.checked = ""
        self.table["/dev/log"] = self.log.address
        # The name that the reference has for the socket, below the chroot.
        self.table["/var/lib/haproxy/run/"] = self.path_of("/var/lib/haproxy") + self.path_of("/run/")
        self.copy_etc("haproxy")
        for folder in ("/run/haproxy", "/var/lib/haproxy"):
            os.makedirs(self.path_of(folder))
        self.units["haproxy"] = dropin.Unit(
            self, ["/usr/bin/unshare", "--mount", "--propagation=unchanged", "sh", "-c", MOUNTED, "sh",
                   self.path_of("/run/immure"), self.substitute("/var/lib/haproxy/run/immure"),
                   "/usr/sbin/haproxy", "-W", "-db", "-f", self.path_of("/etc/haproxy/haproxy.cfg")],
            self.is_up, reload=signal.SIGUSR2)

    def is_up(self):
        """It accepts a little before it takes signals."""
        caught = int(proc.status(self.units["haproxy"].program.pid)["SigCgt"], 16)
        return caught >> (signal.SIGTERM - 1) & 1 and self.accepts()

    def errors(self):
        return self.log.text + self.checked

    def reload_with(self, reference):
        with open(self.path_of(self.CERTIFICATE), encoding="ascii") as file:
            self.write("/etc/haproxy/example.org.pem", file.read() + reference)
        # The unit does this before it signals, which it then does not.
        check = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", self.path_of("/etc/haproxy/haproxy.cfg")],
                               env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, timeout=harness.LIMIT, check=False)
        self.assertEqual(check.returncode, 1, check.stdout)
        self.checked = check.stdout

    def test_the_unit_has_these_mounts(self):
        self.set_up_server()
        self.carry_out("haproxy", "The socket in the chroot")
        unit = self.path_of("/etc/systemd/system/haproxy.service.d/immure.conf")
        with open(unit, encoding="ascii") as file:
            mounts = re.search(r"BindReadOnlyPaths=(\S+):(\S+)", file.read())
        self.assertEqual(list(mounts.groups()), self.units["haproxy"].command[7:9])


class Asynchronous(HAProxy):
    """The same with the section Asynchronous of the guide."""

    OPTIONAL = ()


if __name__ == "__main__":
    harness.main()

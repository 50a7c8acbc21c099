"""Debian's HAProxy with its keys in immured, as docs/guides/haproxy.md says."""

import os
import signal
import socket
import threading

import dropin
import dropin_servers
import harness
import proc


class LogSocket:
    """Collects what goes to /dev/log, here over UDP."""

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
class HAProxy(dropin_servers.Https, dropin_servers.ChrootServerTests, dropin.DropIn):
    GUIDE = "haproxy"
    OPTIONAL = ("Asynchronous",)
    USER = "haproxy"
    CHROOT = "/var/lib/haproxy"
    CERTIFICATE = "/etc/haproxy/example.org.crt"
    KEYS_MISMATCH = "inconsistencies between private key and certificate"
    DAMAGED = "No Private Key found in"

    def set_up_server(self):
        self.log = self.own(LogSocket())
        self.table["/dev/log"] = self.log.address
        self.copy_etc("haproxy")
        for folder in ("/run/haproxy", "/var/lib/haproxy"):
            os.makedirs(self.path_of(folder))
        self.units["haproxy"] = dropin.Unit(
            self, self.with_mounts("/usr/sbin/haproxy", "-W", "-db", "-f",
                                   self.path_of("/etc/haproxy/haproxy.cfg")),
            self.is_up, reload=self.reload)

    def is_up(self):
        """HAProxy accepts connections slightly before it handles signals."""
        caught = int(proc.status(self.units["haproxy"].program.pid)["SigCgt"], 16)
        return caught >> (signal.SIGTERM - 1) & 1 and self.accepts()

    def errors(self):
        return self.log.text + self.refusal

    def install(self, reference):
        with open(self.path_of(self.CERTIFICATE), encoding="ascii") as file:
            self.write("/etc/haproxy/example.org.pem", file.read() + reference)

    def reload(self):
        """As the unit does, which checks the configuration first."""
        self.shell(self.substitute("haproxy -c -f /etc/haproxy/haproxy.cfg"))
        self.units["haproxy"].program.signal(signal.SIGUSR2)


class Asynchronous(HAProxy):
    """The same with the section Asynchronous of the guide."""

    OPTIONAL = ()


if __name__ == "__main__":
    harness.main()

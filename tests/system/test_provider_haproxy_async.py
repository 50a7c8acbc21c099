"""HAProxy with ssl-mode-async and a chroot: it continues with other connections while immured
signs."""

import os
import signal
import socket
import ssl
import struct
import threading

import clients
import harness
import immured
import proc
import provider
from certificates import certificate
from immured import Key, key_process

LIMIT = 10  # seconds that a handshake waits for immured

CONFIGURATION = """\
global
    {chroot}
    maxconn 200
    nbthread 2
    ssl-mode-async
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 5s
frontend site
    bind 127.0.0.1:{port} ssl crt {directory}/site.pem
    http-request return status 200 content-type text/plain string hello
"""


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def say_hello_and_leave(port, reset):
    """Sends a ClientHello and leaves before there can be a reply."""
    tls = clients.context().wrap_socket(socket.create_connection(("127.0.0.1", port)),
                                        do_handshake_on_connect=False)
    tls.settimeout(0.3)
    try:
        tls.do_handshake()
    except (TimeoutError, ssl.SSLError):
        pass
    if reset:
        tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    tls.close()


@harness.needs("haproxy")
@harness.not_sanitized("HAProxy, which loads the module, is not")
class HaproxyAsync(immured.ImmuredTest):
    def start(self, chroot=False):
        self.key = Key("p-256")
        self.trusted = certificate("p-256", serial=1)
        self.immured = self.start_immured(self.key)
        within = os.path.basename(self.path) if chroot else self.path[1:]
        environment = provider.environment(
            self.directory, settings=f"asynchronous = yes\ntimeout = {LIMIT}s\nsocket = /{within}")
        with open(self.trusted.chain, encoding="ascii") as chain, \
                open(os.path.join(self.directory, "site.pem"), "w", encoding="ascii") as site:
            site.write(chain.read() + provider.reference(self.key, self.path))
        self.port = harness.free_port()
        config = os.path.join(self.directory, "haproxy.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(port=self.port, directory=self.directory,
                                            chroot=f"chroot {self.directory}" if chroot else ""))
        self.haproxy = self.start_program("/usr/sbin/haproxy", "-db", "-f", config,
                                          environment=environment)
        self.haproxy.expected_status = -signal.SIGTERM
        harness.wait_until(self.serves, "HAProxy")

    def serves(self, version=None):
        try:
            context = clients.context(version, trusted=self.trusted)
            with clients.connect(self.port, context) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b"hello" in connection.recv(4096) + connection.recv(4096)
        except ConnectionRefusedError:
            return False

    def test_other_connections_go_on(self):
        self.start()
        with clients.connect(self.port, clients.context(trusted=self.trusted)) as before:
            worker = key_process(self.immured)
            proc.stop(worker)
            try:
                served = []
                waiting = [threading.Thread(target=lambda: served.append(self.serves()))
                           for _ in range(10)]
                for each in waiting:
                    each.start()
                before.settimeout(LIMIT / 2)
                before.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertIn(b"200 OK", before.recv(4096))
            finally:
                os.kill(worker, signal.SIGCONT)
            for each in waiting:
                each.join()
            self.assertEqual(served, [True] * 10)
        for version in (clients.TLS12, clients.TLS13):
            self.assertTrue(self.serves(version))

    def test_clients_that_leave(self):
        self.start()
        worker = key_process(self.immured)
        proc.stop(worker)
        try:
            leaving = [threading.Thread(target=say_hello_and_leave, args=(self.port, number % 2))
                       for number in range(30)]
            for each in leaving:
                each.start()
            for each in leaving:
                each.join()
        finally:
            os.kill(worker, signal.SIGCONT)
        # What remains is one idle connection to immured for each handshake that waited at the same
        # time.
        harness.wait_until(lambda: descriptors(self.haproxy.pid) < 60, "descriptors to be closed")
        kept = descriptors(self.haproxy.pid)
        for _ in range(50):
            self.assertTrue(self.serves())
        harness.wait_until(lambda: descriptors(self.haproxy.pid) <= kept, "none to be added")

    @harness.needs_root("chroot")
    def test_chroot_and_restart(self):
        self.start(chroot=True)
        for _ in range(2):
            self.assertEqual(self.immured.stop(), [])
            self.immured = self.start_immured(self.key)
            self.assertTrue(self.serves())


if __name__ == "__main__":
    harness.main()

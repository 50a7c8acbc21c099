"""Debian's curl with a client certificate whose key is in immured, as docs/guides/curl.md says."""

import shutil
import socket
import ssl
import subprocess
import threading

import dropin
import harness
from certificates import certificate


class Server:
    """A TLS server that wants a certificate of `trusted`, says whose it got, and answers when told to."""

    def __init__(self, port, own, trusted):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(own.chain, own.key)
        self.context.load_verify_locations(trusted.chain)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.asked, self.answer = threading.Event(), threading.Event()
        self.answer.set()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        raw.settimeout(harness.LIMIT)
        try:
            with self.context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(65536)
                self.asked.set()
                self.answer.wait(harness.LIMIT)
                name = dict(each[0] for each in connection.getpeercert()["subject"])["commonName"]
                page = f"{connection.version()} {name}\n"
                connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode())
        except OSError:
            pass  # the client did not do it

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@harness.needs("curl", "runuser")
class Curl(dropin.DropIn):
    CERTIFICATE = "/etc/immure/server.crt"
    CONFIG = "/etc/immure/immured.conf"

    def prepare(self, kind, timeout=dropin.PATIENCE):
        """Carries out the guide; what its commands said."""
        self.key = certificate(kind, "client")
        shutil.copy(self.key.key, self.path_of("/etc/immure/client.key"))
        shutil.copy(self.key.chain, self.path_of("/etc/immure/client.crt"))
        site = certificate("p-256", dropin.SITE)
        shutil.copy(site.chain, self.path_of(self.CERTIFICATE))
        self.set_timeout(timeout)
        self.server = self.own(Server(self.port, site, self.key))
        return self.carry_out("curl")

    def command(self, *options):
        return self.substitute("runuser -u www-data -- curl --cert /etc/immure/client.crt --key "
                               f"/etc/immure/client.ref {' '.join(options)} https://example.org/")

    def refused(self):
        done = subprocess.run(["bash", "-c", self.command("--verbose")], env=self.environment,
                              capture_output=True, text=True, timeout=harness.LIMIT, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def assert_guide_works(self, kind):
        self.assertIn("TLSv1.3 client", self.prepare(kind))
        self.assertIn("TLSv1.2 client", self.shell(self.command("--tls-max", "1.2")))
        self.assertEqual(self.signatures(), 2)
        self.server.asked.clear()
        self.server.answer.clear()
        with subprocess.Popen(["bash", "-c", "exec " + self.command()], env=self.environment,
                              stdout=subprocess.DEVNULL) as curl:
            self.assertTrue(self.server.asked.wait(harness.LIMIT))
            self.assert_nowhere(self.key.key, dropin.family(curl.pid))
            self.server.answer.set()
            self.assertEqual(curl.wait(harness.LIMIT), 0)
        self.units["immured"].restart()
        self.assertIn("TLSv1.3 client", self.shell(self.command()))

    def test_rsa(self):
        self.assert_guide_works("rsa-2048")

    def test_p256(self):
        self.assert_guide_works("p-256")

    def test_errors(self):
        self.prepare("p-256", dropin.TIMEOUT)
        for old, new, text in (("tls-client", "tls-server", "the key's policy does not allow it"),
                               ('{"www-data"}', '{"nobody"}', "immured does not serve this user"),
                               ("client.key", "server.key", "immured does not have this key")):
            with self.subTest(text):
                shutil.copy(certificate("p-256").key, self.path_of("/etc/immure/server.key"))
                self.edit(self.CONFIG, (old, new))
                self.units["immured"].restart()
                self.assertIn(text, self.refused())
                self.edit(self.CONFIG, (new, old))
        self.units["immured"].stop()
        self.assertIn("no connection to immured", self.refused())
        self.write("/etc/immure/client.ref", "nothing")
        self.assertIn("unable to set private key file", self.refused())


if __name__ == "__main__":
    harness.main()

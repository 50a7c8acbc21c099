"""Every common client completes a handshake and transfers a large body, intact, in both
directions."""

import hashlib
import os
import shutil
import signal
import subprocess

import backends
import clients
import harness
from certificates import certificate

SIZE = harness.scaled(100_000_000, 10_000_000)
VERSIONS = {"TLSv1.2": clients.TLS12, "TLSv1.3": clients.TLS13}


class Clients(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.certificate = certificate("p-256")
        self.backend = self.own(backends.Backend(backends.http_server))
        self.proxy = self.start_proxy([certificate("rsa-2048"), self.certificate],
                                      self.backend.address, frontend='alpn = { "http/1.1" }')
        self.body = backends.body(SIZE)
        self.digest = hashlib.sha256(self.body).hexdigest()

    def path(self, name, content=None):
        path = os.path.join(self.directory, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def run_client(self, *command, text=b""):
        return subprocess.run(command, input=text, capture_output=True, check=False,
                              timeout=400)

    @harness.needs("curl")
    def test_curl(self):
        sent = self.path("sent", self.body)
        for number, version in enumerate(VERSIONS, 2):
            with self.subTest(version=version):
                tls = [f"--tlsv1.{number}", "--tls-max", f"1.{number}", "--http1.1",
                       "--cacert", self.certificate.chain, "-sS", "--fail"]
                url = f"https://localhost:{self.proxy.port}"
                got = self.path("got")
                done = self.run_client("curl", *tls, "-o", got, f"{url}/{SIZE}")
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(got, "rb") as file:
                    self.assertEqual(hashlib.sha256(file.read()).hexdigest(), self.digest)
                done = self.run_client("curl", *tls, "--data-binary", "@" + sent, url)
                self.assertEqual((done.returncode, done.stdout.decode()), (0, self.digest), done.stderr)

    def exchange(self, *command, size=SIZE):
        """GET of `size` bytes and POST, with a client that copies standard input and output."""
        request = f"GET /{size} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        done = self.run_client(*command, text=request)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertTrue(done.stdout.endswith(backends.body(size)))
        request = ("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   f"Content-Length: {SIZE}\r\n\r\n").encode() + self.body
        done = self.run_client(*command, text=request)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn(self.digest.encode(), done.stdout)

    def test_openssl_s_client(self):
        for version, option in {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}.items():
            with self.subTest(version=version):
                self.exchange("openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.port}",
                              "-servername", "localhost", "-quiet", "-ign_eof",
                              "-verify_return_error", "-CAfile", self.certificate.chain, option)

    @harness.needs("gnutls-cli")
    def test_gnutls(self):
        # It writes what it gets a byte at a time: a minute for the large body, in script/endure.
        for version, size in {"1.2": SIZE // 50, "1.3": SIZE if harness.LONG else SIZE // 10}.items():
            with self.subTest(version=version):
                self.exchange("gnutls-cli", "--x509cafile", self.certificate.chain,
                              "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}",
                              "--logfile", self.path("gnutls.log"),
                              "--port", str(self.proxy.port), "localhost", size=size)

    def test_python(self):
        for version in VERSIONS.values():
            with self.subTest(version=version):
                tls = clients.context(version, trusted=self.certificate)
                with clients.connect(self.proxy.port, tls) as connection:
                    connection.sendall(f"GET /{SIZE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += clients.receive_exactly(connection, 1)
                    self.assertIn(b"200 OK", head)
                    got = clients.receive_exactly(connection, SIZE)
                    self.assertEqual(hashlib.sha256(got).hexdigest(), self.digest)
                    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n"
                                       b"Connection: close\r\nContent-Length: %d\r\n\r\n" % SIZE)
                    connection.sendall(self.body)
                    answer = b""
                    while data := connection.recv(65536):
                        answer += data
                    self.assertTrue(answer.endswith(self.digest.encode()), answer[-200:])

    @harness.needs("chromium")
    def test_chromium(self):
        """A page's script fetches the body and posts what it got: its digest shows both ways."""
        backends.HttpHandler.posted.clear()
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        with open(self.path("chromium.log"), "wb") as log:
            browser = subprocess.Popen(
                [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
                 "--disable-quic", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
                 "--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-port=0",
                 f"--user-data-dir={self.path('profile')}",
                 f"https://localhost:{self.proxy.port}/browser/{SIZE}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True)
        try:
            harness.wait_until(lambda: backends.HttpHandler.posted, "what Chromium posts", 200)
        finally:
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait()
        self.assertEqual(backends.HttpHandler.posted, [self.digest])


if __name__ == "__main__":
    harness.main()

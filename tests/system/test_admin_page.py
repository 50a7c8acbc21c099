"""The admin page, served through the proxy whose figures it shows, in a browser and without
scripts; and /metrics, checked by Prometheus itself."""

import http.client
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import clients
import harness
from certificates import certificate

BROWSER_MS = 6000  # of the browser's virtual time: several updates of the page


class AdminPage(harness.SystemTest):
    def setUp(self):
        super().setUp()
        port, admin_port = harness.free_port(), harness.free_port()
        config = harness.proxy_config(
            port, admin_port, [certificate("rsa-2048"), certificate("p-256")],
            f"127.0.0.1:{admin_port}").replace("admin {", 'admin { hosts = { "status.example" } ')
        self.proxy = self.start_proxy_with(config, port, admin_port)

    def through_proxy(self, path):
        with clients.connect(self.proxy.port) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        head, _, body = answer.decode().partition("\r\n\r\n")
        self.assertTrue(head.startswith("HTTP/1.1 200 "), head)
        return head, body

    def test_without_script(self):
        self.proxy.wait_for(2, "immure_keyd_connected")
        self.through_proxy("/")
        head, body = self.through_proxy("/")
        self.assertIn("Content-Security-Policy: default-src 'self';", head)
        text = re.sub(r"<[^>]+>", " ", body)
        self.assertRegex(text, r"Signing is\s+async\s*; private keys are in\s+immured")
        self.assertRegex(text, r"2 of 2 event loops connected, 0 connections lost")
        self.assertRegex(text, r"TLSv1\.3\s+[1-9]\d*\s")
        for word in ("RSA-2048", "P-256", "P99.9999", "openssl", "localhost"):
            self.assertIn(word, text)
        self.assertNotIn("://", body, "the page asks another server for something")
        for path in re.findall(r'(?:href|src)="([^"]+)"', body):
            self.through_proxy(f"/{path}")

    def test_reading_only(self):
        for method, path, status in (("POST", "/", 405), ("PUT", "/metrics", 405),
                                     ("GET", "/nothing", 404), ("POST", "/nothing", 404)):
            request = urllib.request.Request(f"http://127.0.0.1:{self.proxy.admin_port}{path}",
                                             method=method)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=harness.LIMIT)
            self.assertEqual(refused.exception.code, status, (method, path))

    def test_hosts(self):
        """A name that DNS rebinding points at this address is refused, and a configured one is
        not."""
        def status(host):
            connection = http.client.HTTPConnection("127.0.0.1", self.proxy.admin_port, timeout=harness.LIMIT)
            self.addCleanup(connection.close)
            connection.request("GET", "/status.json", headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        self.assertEqual(status("status.example")[0], 200)
        self.assertEqual(status(f"localhost:{self.proxy.admin_port}")[0], 200)
        code, text = status("rebound.example")
        self.assertEqual(code, 403)
        self.assertIn('admin { hosts = { "NAME" } }', text)

    @harness.needs("chromium")
    def test_live_in_chromium(self):
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = subprocess.run(
            [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--ignore-certificate-errors", "--disable-dev-shm-usage",
             "--no-proxy-server", f"--user-data-dir={os.path.join(self.directory, 'profile')}",
             f"--virtual-time-budget={BROWSER_MS}", "--dump-dom", f"https://localhost:{self.proxy.port}/"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=200, check=False, env=environment)
        page = done.stdout.decode(errors="replace")
        self.assertIn("This page came to you through immure-proxy", page, done.stderr[-2000:])
        self.assertIn("live: once a second", page)
        self.assertNotRegex(page, r'<section id="live"[^>]*hidden')
        # A curve with several points: the connections of this very browser.
        self.assertRegex(page, r'class="curve s\d" d="M[\d. ]+(L[\d. ]+)+"')
        self.assertRegex(page, r"<dt>key process</dt><dd>2 / 2 ")

    @harness.needs("promtool")
    def test_promtool(self):
        self.through_proxy("/")
        checked = subprocess.run(["promtool", "check", "metrics"], input=self.proxy.get("/metrics"),
                                 capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))


if __name__ == "__main__":
    harness.main()

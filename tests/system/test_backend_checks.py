"""The checks of servers: what they send, what they conclude, and that what they know outlives the processes
that know it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import backends
import clients
import harness
import proc
from certificates import certificate
from greeters import Greeter, Hung, Listeners, PoolTest, greeting

FAST = "check-interval = 50ms  check-timeout = 500ms  rise = 2  fall = 2  failure-pause = 50ms"


class Web(backends.Backend):
    """An HTTP server whose answer to all requests can be set; it remembers what it is asked. With `proxy`, a PROXY
    header comes first."""

    def __init__(self, proxy=None):
        self.status = b"HTTP/1.1 200 OK"
        self.delay = 0
        self.proxy = proxy
        self.requests = []
        self.times = []
        super().__init__(self.answer)

    @property
    def name(self):
        return self.address

    def answer(self, connection):
        self.times.append(time.monotonic())
        header = self.proxy(connection) if self.proxy else None
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            more = connection.recv(4096)
            if not more:
                return
            request += more
        self.requests.append((header, request.decode()))
        time.sleep(self.delay)
        connection.sendall(self.status + b"\r\nContent-Length: 0\r\n\r\n")


class Checks(PoolTest):
    def serve(self, *servers, check="tcp", options="", fast=FAST, **more):
        return self.start([certificate("p-256")], *(server.address for server in servers),
                          options=f"check = {check}  {fast}  {options}", **more)

    def checker(self):
        return self.proxy.titled("immure-proxy: checker")

    def test_a_server_that_refuses_is_down_and_up_again(self):
        one, two = self.own(Greeter("one")), self.own(Greeter("two"))
        self.serve(one, two)
        self.wait_for_state(one, "up")
        harness.wait_until(lambda: self.rows()[one.address]["check"] == "connected", "the first check")
        one.end()
        self.wait_for_state(one, "down")
        for _ in range(6):
            self.assertEqual(greeting(self.proxy.port), "two")
        self.assertRegex(self.proxy.log(),
                         rf'warning: backend "app": server {one.address}: up -> down: check: Connection refused')
        self.assertEqual(self.proxy.metric("immure_backend_server_up", server=one.address), 0)
        self.assertEqual(self.proxy.metric("immure_backend_servers", backend="app", state="down"), 1)
        self.assertIn("Connection refused", self.proxy.get("/"))
        self.assertLess(abs(self.rows()[one.address]["check_changed"] - time.time()), 60)
        one.begin()
        self.wait_for_state(one, "up")
        self.assertRegex(self.proxy.log(), rf'info: backend "app": server {one.address}: down -> up: check: connected')
        self.assertEqual(self.proxy.metric("immure_backend_server_up", server=one.address), 1)

    def test_a_server_that_hangs_is_down(self):
        hung, two = self.own(Hung()), self.own(Greeter("two"))
        hung.name = "hung"
        self.serve(hung, two)
        self.wait_for_state(hung, "down")
        self.assertRegex(self.rows()[hung.address]["check"], "no answer within 500 ms|timed out")

    def test_http(self):
        web = self.own(Web())
        self.serve(web, check="http", options='check-path = "/health?full"  check-host = "app.example"'
                                              '  check-status = "200-299"')
        harness.wait_until(lambda: self.rows()[web.address]["check"] == "HTTP status 200", "the first check")
        self.assertEqual(web.requests[0][1].split("\r\n")[:2], ["GET /health?full HTTP/1.1", "Host: app.example"])
        for status, said in ((b"HTTP/1.0 503 Busy", "HTTP status 503"), (b"HTTP/1.1 302 Found", "HTTP status 302"),
                             (b"SSH-2.0-OpenSSH", "the answer is not HTTP"), (b"", "closed|no answer|not HTTP")):
            with self.subTest(status=status):
                web.status = status
                self.wait_for_state(web, "down")
                self.assertRegex(self.rows()[web.address]["check"], said)
                web.status = b"HTTP/1.1 204 No Content"
                self.wait_for_state(web, "up")

    def test_an_answer_that_is_late(self):
        web = self.own(Web())
        web.delay = 5
        self.serve(web, check="http", fast=FAST.replace("500ms", "100ms"))
        self.wait_for_state(web, "down")
        self.assertEqual(self.rows()[web.address]["check"], "no answer within 100 ms")

    def test_a_server_process_that_is_stopped(self):
        """The kernel goes on making connections for it, so only a check that asks for an answer finds out."""
        port, two = harness.free_port(), self.own(Web())
        process = subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
                                   cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        address = f"127.0.0.1:{port}"
        self.start([certificate("p-256")], address, two.address, options=f"check = http  {FAST}")
        harness.wait_until(lambda: self.rows()[address]["check"] == "HTTP status 200", "the server")
        process.send_signal(signal.SIGSTOP)
        harness.wait_until(lambda: self.rows()[address]["state"] == "down", "the verdict")
        for _ in range(10):
            with clients.connect(self.proxy.port) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertIn(b"200 OK", connection.recv(100))
        process.send_signal(signal.SIGCONT)
        harness.wait_until(lambda: self.rows()[address]["state"] == "up", "its return")

    def test_one_failure_is_not_enough(self):
        web = self.own(Web())
        self.serve(web, check="http", fast=FAST.replace("fall = 2", "fall = 50"))
        harness.wait_until(lambda: self.rows()[web.address]["check"], "the first check")
        web.status = b"HTTP/1.1 500 Oops"
        seen = len(web.requests)
        harness.wait_until(lambda: len(web.requests) > seen + 5, "five checks")
        self.assertEqual(self.state(web), "up")

    def test_tls(self):
        made = certificate("p-256")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.chain, made.key)
        names = []
        context.sni_callback = lambda connection, name, _: names.append(name)
        plain = self.own(Greeter("plain"))
        server = self.own(backends.Backend(lambda raw: context.wrap_socket(raw, server_side=True).close()))
        server.name = "tls"
        self.serve(server, plain, check="tls", options='check-host = "tls.example"')
        self.wait_for_state(plain, "down")
        self.assertIn("TLS handshake: ", self.rows()[plain.address]["check"])
        harness.wait_until(lambda: self.rows()[server.address]["check"] == "TLSv1.3", "the good check")
        self.assertEqual(set(names), {"tls.example"})

    def test_checks_send_the_proxy_header(self):
        for version, read in (("v1", backends.read_proxy_v1), ("v2", backends.read_proxy_v2)):
            with self.subTest(version=version):
                web = self.own(Web(proxy=read))
                self.serve(web, check="http", options=f"proxy-protocol = {version}")
                harness.wait_until(lambda: self.rows()[web.address]["check"] == "HTTP status 200", "a check")
                header = web.requests[0][0]
                if version == "v1":
                    self.assertEqual(header, ["PROXY", "UNKNOWN"])
                else:
                    self.assertEqual((header["command"], header["source"], header["tlv_bytes"]), (0x20, None, b""))

    def test_a_server_that_only_checks_find_out(self):
        """It accepts connections, but answers with errors; clients never notice."""
        one, two = self.own(Web()), self.own(Web())
        self.serve(one, two, check="http")
        one.status = b"HTTP/1.1 503 Busy"
        self.wait_for_state(one, "down")
        self.assertEqual(self.state(two), "up")

    def test_unix_sockets_and_names_are_checked(self):
        path = os.path.join(self.directory, "app.sock")
        server = self.own(backends.Backend(backends.echo, unix_path=path))
        port = harness.free_port()
        listener = self.own(socket.create_server(("127.0.0.1", port)))
        self.start([certificate("p-256")], server.address, f"localhost:{port}", options=f"check = tcp  {FAST}")
        harness.wait_until(lambda: all(row["check"] == "connected" for row in self.rows().values()), "good checks")
        listener.close()
        harness.wait_until(lambda: self.rows()[f"localhost:{port}"]["state"] == "down", "the verdict")
        self.assertEqual(self.rows()[server.address]["state"], "up")

    def test_checks_are_spread_over_the_interval(self):
        web = [self.own(Web()) for _ in range(10)]
        self.serve(*web, check="http", fast="check-interval = 2s")
        harness.wait_until(lambda: all(len(server.times) > 1 for server in web), "two checks of each")
        first = sorted(server.times[0] for server in web)
        self.assertGreater(first[-1] - first[0], 1)
        self.assertLess(max(after - before for before, after in zip(first, first[1:])), 1)
        for server in web:
            self.assertAlmostEqual(server.times[1] - server.times[0], 2, delta=0.7)

    def test_many_servers_with_few_descriptors(self):
        """More servers than may be checked at a time, and all of them hang."""
        hung = self.own(Hung())
        host, port = hung.address.split(":")
        one = self.own(Greeter("one"))
        addresses = [f"127.0.{number // 250}.{number % 250 + 1}:{port}" for number in range(600)]
        self.start([certificate("p-256")], one.address, *addresses,
                   options="check = tcp  check-interval = 500ms  check-timeout = 2s")
        seen = []
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            seen.append(len(os.listdir(f"/proc/{self.checker()}/fd")))
            time.sleep(0.05)
        self.assertLess(max(seen), 256 + 20)
        self.assertEqual(host, "127.0.0.1")
        harness.wait_until(lambda: self.rows()[one.address]["check"] == "connected", "the check of the good server")
        self.assertEqual(greeting(self.proxy.port), "one")


class Life(PoolTest):
    """Verdicts outlive who knows them."""

    def setUp(self):
        super().setUp()
        self.one, self.two = self.own(Greeter("one")), self.own(Greeter("two"))
        self.one.end()
        self.start([certificate("p-256")], self.one.address, self.two.address, options=f"check = tcp  {FAST}")
        self.wait_for_state(self.one, "down")
        self.changes = self.proxy.log().count("-> down")

    def checker(self):
        return self.proxy.titled("immure-proxy: checker")

    def assert_still_down(self):
        self.assertEqual(self.state(self.one), "down")
        self.assertEqual(self.proxy.log().count("-> down"), self.changes)
        for _ in range(4):
            self.assertEqual(greeting(self.proxy.port), "two")

    def stop_checks(self):
        """From now on nobody finds out anything."""
        proc.stop(self.checker())

    def test_a_checker_that_is_killed_is_started_again(self):
        load = self.own(Listeners(self.proxy.port))
        for _ in range(3):
            checker = self.checker()
            os.kill(checker, signal.SIGKILL)
            self.assert_still_down()
            harness.wait_until(lambda: self.checker() not in (0, checker), "another checker")
        load.close()
        self.assertEqual(load.failures, [])
        self.assert_still_down()
        self.one.begin()
        self.wait_for_state(self.one, "up")

    def test_a_checker_that_hangs_ends_with_the_others(self):
        checker = self.checker()
        self.stop_checks()
        self.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.proxy.wait(), 0)
        harness.wait_until(lambda: not proc.alive(checker), "the checker's end")

    def test_a_new_worker_knows_the_verdicts(self):
        self.stop_checks()
        worker = self.proxy.worker()
        os.kill(worker, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.worker() not in (0, worker) and self.proxy.ready(), "another worker")
        self.assert_still_down()

    def test_hup_keeps_them(self):
        """As long as the name of the backend and the address stay. The new checker takes a minute to find out."""
        three = self.own(Greeter("three"))
        slow = "check = tcp  check-interval = 1m  balance = round-robin"
        self.reload(three.address, self.one.address, self.two.address, options=slow)
        self.assertEqual(self.state(self.one), "down")
        self.assertEqual({greeting(self.proxy.port) for _ in range(8)}, {"two", "three"})
        self.assertEqual(self.proxy.log().count("-> down"), self.changes)

    def pause_one(self):
        """Without checks, the first connection finds out that nobody listens there, and pauses the server."""
        self.reload(self.one.address, self.two.address,
                    options="balance = round-robin  failure-pause = 10m  failure-pause-max = 10m")
        harness.wait_until(lambda: greeting(self.proxy.port) == "two" and self.state(self.one) == "paused", "the pause")
        return self.proxy.metric("immure_backend_errors_total")

    def assert_still_paused(self, errors):
        self.assertEqual(self.state(self.one), "paused")
        self.assertEqual({greeting(self.proxy.port) for _ in range(8)}, {"two"})
        self.assertEqual(self.proxy.metric("immure_backend_errors_total"), errors)

    def test_hup_keeps_pauses(self):
        errors = self.pause_one()
        self.reload(self.one.address, self.two.address,
                    options="balance = source  failure-pause = 10m  failure-pause-max = 10m")
        self.assert_still_paused(errors)

    def test_a_new_worker_knows_pauses(self):
        errors = self.pause_one()
        worker = self.proxy.worker()
        os.kill(worker, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.worker() not in (0, worker) and self.proxy.ready(), "another worker")
        self.assert_still_paused(errors)

    def test_hup_without_checks_forgets_them(self):
        self.stop_checks()
        self.one.begin()
        self.reload(self.one.address, self.two.address, options="balance = round-robin")
        self.assertEqual(self.state(self.one), "up")
        self.assertEqual({greeting(self.proxy.port) for _ in range(8)}, {"one", "two"})
        harness.wait_until(lambda: self.checker() == 0, "the end of the checker")

    def test_the_checker_cannot_do_much(self):
        """No file can be opened, and no other port connected to."""
        status = harness.proc.read(self.checker(), "status")
        if os.geteuid() == 0:
            self.assertRegex(status, r"Uid:\t65534\t65534\t65534")
        maps = harness.proc.read(self.checker(), "maps")
        self.assertNotIn("rw-s", maps)

    def test_slow_start(self):
        """A server that comes back gets few connections at first."""
        self.reload(self.one.address, self.two.address,
                    options=f"check = tcp  {FAST}  balance = round-robin  slow-start = 10m")
        self.assertEqual(self.state(self.one), "down")
        self.one.begin()
        self.wait_for_state(self.one, "up")
        heard = [greeting(self.proxy.port) for _ in range(60)]
        self.assertIn(heard.count("one"), range(1, 13))


if __name__ == "__main__":
    harness.main()

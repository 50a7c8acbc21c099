"""immure-storm's figures are right: its counts match the server's, and its times include every
wait."""

import collections
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import harness
import proc
from backends import Backend
from certificates import certificate

TRIES = 5

Server = collections.namedtuple("Server", "full resumed requests")


class CountingServer(Backend):
    """A TLS server that counts the handshakes it has finished. `stall` (a function of the number of
    connections so far) says how long it sleeps before a handshake; one connection at a time then."""

    def __init__(self, kind="p-256", stall=None, echo=False, tickets=True):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain = certificate(kind)
        self.context.load_cert_chain(chain.chain, chain.key)
        if not tickets:
            self.context.num_tickets = 0
            self.context.options |= ssl.OP_NO_TICKET
        self.stall, self.echo = stall, echo
        self.lock = threading.Lock()
        self.full = self.resumed = self.requests = 0
        super().__init__(self.shake_hands)

    def begin(self, connection):
        if self.stall:
            time.sleep(self.stall(self.accepted))
        super().begin(connection)

    def shake_hands(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as tls:
            with self.lock:
                if tls.session_reused:
                    self.resumed += 1
                else:
                    self.full += 1
            while data := tls.recv(65536):
                with self.lock:
                    self.requests += 1
                close = b"Connection: close" in data
                tls.sendall(data if self.echo
                            else b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                if close:
                    break
            tls.unwrap()

    def counts(self):
        return Server(self.full, self.resumed, self.requests)


class StormTest(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="immure-test-"))

    def server(self, **options):
        server = CountingServer(**options)
        self.addCleanup(server.close)
        return server

    def storm(self, *arguments, status=0):
        """Runs immure-storm. Returns (summary, seconds, text)."""
        report = os.path.join(self.directory, "report.json")
        done = subprocess.run(
            [harness.program_path("immure-storm"), "--handshake-timeout", str(harness.LIMIT),
             *map(str, arguments), "--json", report],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIsNone(harness.SANITIZER_REPORT.search(done.stderr), done.stderr)
        with open(report, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual(lines[-1]["type"], "summary")
        return lines[-1], lines[:-1], done.stdout

    def refused(self, *arguments, status=2):
        """The one line that it says about wrong arguments."""
        done = subprocess.run([harness.program_path("immure-storm"), *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (status, ""))
        self.assertRegex(done.stderr, r"\Aimmure-storm: [^\n]+\n\Z")
        return done.stderr

    def all_of(self, summary):
        """Full and resumed handshakes of the whole run, and that none is unaccounted for."""
        self.assertEqual(summary["started"],
                         summary["full"] + summary["resumed"] + summary["failed"])
        return (summary["full"] + summary["warmup_full"],
                summary["resumed"] + summary["warmup_resumed"])


class Counts(StormTest):
    def test_full_handshakes_are_those_of_the_server(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version):
                server = self.server()
                summary, _, _ = self.storm(server.address, "--rate", 60, "--duration", 1,
                                           "--warmup", 0.5, "--tls", version)
                harness.wait_until(lambda: self.all_of(summary) == server.counts()[:2],
                                   lambda: f"the server to count {self.all_of(summary)}: {server.counts()}")
                self.assertGreater(summary["full"], 0)
                self.assertEqual(summary["failures"], {})
                self.assertIn("TLSv" + version, summary["negotiated"])

    def test_resumed_handshakes_are_told_from_full_ones(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version):
                server = self.server()
                summary, _, _ = self.storm(server.address, "--concurrency", 2, "--duration", 1,
                                           "--resume", "--tls", version, "--request", "/")
                full, resumed = self.all_of(summary)
                self.assertEqual(full, 0)
                self.assertGreater(resumed, 0)
                # One full handshake more: the one that fetched the session.
                harness.wait_until(lambda: server.counts() == (1, resumed, resumed),
                                   lambda: f"the server to count {resumed}: {server.counts()}")

    def test_names_are_taken_in_turn(self):
        asked, server = [], self.server()
        server.context.sni_callback = lambda _, name, __: asked.append(name)
        path = os.path.join(self.directory, "names")
        with open(path, "w", encoding="ascii") as file:
            file.write("one.example\ntwo.example\n\nthree.example\n")
        summary, _, _ = self.storm(server.address, "--concurrency", 1, "--duration", 1, "--warmup", 0, "--names", path)
        self.assertGreater(summary["full"], 2)
        names = ("one.example", "two.example", "three.example")
        first = names.index(asked[0])
        self.assertEqual(asked, [names[(first + number) % 3] for number in range(len(asked))])

    def test_every_key_and_group(self):
        """The storm's own library context, with and without a check of the signature."""
        runs = [(kind, version, "X25519:P-256:P-384") for kind in ("rsa-2048", "rsa-pss", "p-256", "p-384", "ed25519")
                for version in ("1.2", "1.3")]
        runs += [("p-256", "1.3", group) for group in ("X448", "P-256", "P-384", "P-521", "ffdhe2048")]
        for kind, version, group in runs:
            server = self.server(kind=kind)
            for check in ([], ["--unchecked"]):
                with self.subTest(key=kind, tls=version, group=group, check=check):
                    summary, _, _ = self.storm(server.address, "--rate", 50, "--duration", 0.1, "--warmup", 0,
                                               "--tls", version, "--groups", group, *check)
                    self.assertEqual(summary["failures"], {})
                    self.assertGreater(summary["full"], 0)

    def test_a_server_without_sessions_cannot_be_resumed(self):
        server = self.server(tickets=False)
        said = self.refused(server.address, "--resume", "--concurrency", "1", "--tls", "1.3",
                            "--handshake-timeout", "0.3", status=1)
        self.assertIn("no session from the server", said)

    def test_each_probe_is_answered_or_lost(self):
        for arguments, echo in ((["--probe-request", "/"], False), (["--probe-plain", 100], True)):
            with self.subTest(arguments[0]):
                server = self.server(echo=echo)
                summary, _, _ = self.storm(server.address, "--probes", 4, "--probe-rate", 25,
                                           "--duration", 1, "--warmup", 0, *arguments)
                self.assertEqual((summary["answered"], summary["lost"]), (100, 0))
                self.assertEqual(summary["probe_seconds"]["count"], 100)
                harness.wait_until(lambda: server.counts() == (4, 0, 100), server.counts)

    def test_seconds_add_up_to_the_whole(self):
        server = self.server()
        summary, seconds, _ = self.storm(server.address, "--concurrency", 2, "--duration", 2,
                                         "--warmup", 1)
        self.assertEqual([line["warmup"] for line in seconds], [True, False, False])
        whole = sum(self.all_of(summary))
        # Those under way at the end are in the summary alone.
        self.assertLessEqual(whole - sum(line["full"] for line in seconds), 2)

    @harness.needs("nginx")
    def test_nginx_counts_the_same(self):
        chain, port = certificate("p-256"), harness.free_port()
        log, conf = (os.path.join(self.directory, name) for name in ("access.log", "nginx.conf"))
        paths = "\n".join(f"{name}_temp_path {self.directory}/{name};"
                          for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"""
daemon off; master_process off; pid {self.directory}/pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
    log_format reused "$ssl_session_reused $ssl_protocol $status";
    access_log {log} reused;
    {paths}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {chain.chain};
        ssl_certificate_key {chain.key};
        ssl_session_cache shared:tls:1m;
        location / {{ return 200 "hello"; }}
        location /status {{ access_log off; stub_status; }}
    }}
}}""")
        with open(os.path.join(self.directory, "nginx.log"), "wb") as errors:
            nginx = subprocess.Popen(["nginx", "-e", "stderr", "-c", conf],
                                     stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        trusting = ssl.create_default_context(cafile=chain.chain)

        def accepted():
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{port}/status", timeout=10,
                                            context=trusting) as page:
                    return int(page.read().split()[7])
            except OSError:
                return 0

        before = harness.wait_until(accepted, "nginx")
        target = f"127.0.0.1:{port}"
        full, _, _ = self.storm(target, "--rate", 100, "--duration", 1, "--request", "/")
        resumed, _, _ = self.storm(target, "--concurrency", 4, "--duration", 1, "--resume",
                                   "--request", "/")
        bare, _, _ = self.storm(target, "--concurrency", 4, "--duration", 1, "--tls", "1.2")

        def logged():
            with open(log, encoding="utf-8") as file:
                counted = collections.Counter(line.split()[0] for line in file)
            return (counted["."], 0), (0, counted["r"])
        harness.wait_until(lambda: logged() == (self.all_of(full), self.all_of(resumed)), logged)
        connections = sum(self.all_of(full) + self.all_of(resumed) + self.all_of(bare))
        # Besides: the one that fetched the session, and this look at the page.
        self.assertEqual(accepted() - before, connections + 2)


class Times(StormTest):
    def test_latency_counts_from_the_schedule(self):
        """Connections that are due while the server sleeps include that time in their latency."""
        server = self.server(stall=lambda number: 0.5 if number == 40 else 0)
        summary, _, _ = self.storm(server.address, "--rate", 80, "--duration", 2, "--warmup", 0)
        times = summary["handshake_seconds"]
        self.assertGreaterEqual(times["max"], 0.49)
        self.assertEqual(summary["failures"], {})
        # 40 arrivals of 160 fell into the half second: the slowest tenth is among them.
        self.assertGreater(times["P90"], 0.1)
        # All were begun on schedule nevertheless, not one after the other.
        self.assertGreater(summary["started"], 100)

    def test_a_probe_waits_from_its_moment(self):
        """One reply takes 0.6 s: requests that are due meanwhile on the connection include their
        wait."""
        server = self.server()
        class Slow(ssl.SSLSocket):
            answered = 0

            def sendall(self, data, flags=0):
                Slow.answered += 1
                if Slow.answered == 20:
                    time.sleep(0.6)
                return super().sendall(data, flags)

        server.context.sslsocket_class = Slow
        summary, _, _ = self.storm(server.address, "--probes", 1, "--probe-rate", 50,
                                   "--duration", 2, "--warmup", 0)
        self.assertEqual((summary["answered"], summary["lost"]), (100, 0))
        self.assertGreaterEqual(summary["probe_seconds"]["max"], 0.59)
        # 30 of 100 were due in those 0.6 s; the tenth slowest of all waited most of it.
        self.assertGreater(summary["probe_seconds"]["P90"], 0.3)

    def test_lost_probes_count_with_the_time_they_waited(self):
        server = self.server()

        class Silent(ssl.SSLSocket):
            def sendall(self, data, flags=0):
                return len(data)

        server.context.sslsocket_class = Silent
        summary, _, _ = self.storm(server.address, "--probes", 1, "--probe-rate", 10, "--duration",
                                   1, "--warmup", 0, "--probe-timeout", 0.4, status=1)
        self.assertEqual((summary["answered"], summary["lost"]), (0, 10))
        self.assertIn("reply timeout", summary["probe_failures"])
        self.assertGreaterEqual(summary["probe_seconds"]["max"], 0.4)

    def test_a_quantile_without_samples_is_blank(self):
        server = self.server()
        summary, _, text = self.storm(server.address, "--rate", 60, "--duration", 1, "--seed", 3)
        times = summary["handshake_seconds"]
        self.assertTrue(20 <= times["count"] < 100, times)
        self.assertIsNotNone(times["P50"])
        for name in ("P90", "P99", "P99.9", "P99.99", "P99.9999"):
            self.assertIsNone(times[name], name)
        row = next(line for line in text.splitlines() if line.startswith("handshake "))
        self.assertEqual(len(row.split()), 4)  # name, count, P50, max


class Limits(StormTest):
    """More arrivals than one thread can begin, at a port that refuses them at once."""

    def flood(self):
        closed = harness.free_port()
        summary, _, _ = self.storm(f"127.0.0.1:{closed}", "--rate", 500000, "--threads", 1, "--duration", 1,
                                   "--warmup", 0, "--max-open", 64, status=1)
        return "; ".join(summary["warnings"])

    def test_it_tells_when_it_is_the_limit(self):
        self.assertRegex(self.flood(), "immure-storm itself is the limit: storm thread 1 used [0-9]+ %")

    @unittest.skipUnless(os.path.exists("/proc/self/schedstat"), "the kernel does not tell how long threads wait")
    def test_it_tells_when_it_has_to_wait_for_its_core(self):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        self.addCleanup(os.sched_setaffinity, 0, cores)
        for _ in range(3):
            beside = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            self.addCleanup(beside.wait)
            self.addCleanup(beside.kill)
        self.assertRegex(self.flood(), "itself is the limit: storm thread 1 used [0-9]+ % of a core, and "
                                       "waited for one for [0-9]+ %")


class Failures(StormTest):
    def test_kinds(self):
        closed = harness.free_port()
        summary, _, _ = self.storm(f"127.0.0.1:{closed}", "--rate", 50, "--duration", 0.5,
                                   status=1)
        self.assertEqual(summary["failures"], {"connection refused": summary["failed"]})
        self.assertGreater(summary["failed"], 0)

        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            summary, _, _ = self.storm(f"127.0.0.1:{port}", "--rate", 20, "--duration", 0.5,
                                       "--handshake-timeout", 0.2, status=1)
        self.assertEqual(summary["failures"], {"handshake timeout": summary["failed"]})

        server = self.server(kind="rsa-2048")
        summary, _, _ = self.storm(server.address, "--concurrency", 1, "--duration", 0.3, "--tls",
                                   "1.3", "--sigalgs", "ECDSA+SHA256", status=1)
        self.assertEqual(summary["failures"], {"alert: handshake failure": summary["failed"]})

    def test_verification(self):
        server = self.server()
        mine, other = certificate("p-256"), certificate("rsa-2048")
        summary, _, _ = self.storm(server.address, "--concurrency", 1, "--duration", 0.3,
                                   "--verify", mine.chain, "--server-name", "localhost")
        self.assertEqual(summary["failed"], 0)
        for name, chain in (("localhost", other.chain), ("elsewhere.test", mine.chain)):
            summary, _, _ = self.storm(server.address, "--concurrency", 1, "--duration", 0.3,
                                       "--verify", chain, "--server-name", name, status=1)
            self.assertEqual(summary["failures"],
                             {"certificate not verified": summary["failed"]})

    def test_a_server_that_dies_shows(self):
        code = ("import ssl, sys; c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER);"
                "c.load_cert_chain(sys.argv[1], sys.argv[2]); import socket, time;"
                "s = socket.create_server(('127.0.0.1', int(sys.argv[3])), backlog=64);"
                "\nwhile True:\n a, _ = s.accept()\n try: c.wrap_socket(a, server_side=True).close()"
                "\n except OSError: pass")
        chain, port = certificate("p-256"), harness.free_port()
        server = subprocess.Popen(["python3", "-c", code, chain.chain, chain.key, str(port)],
                                  stdin=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)

        def listening():
            with socket.socket() as attempt:
                return attempt.connect_ex(("127.0.0.1", port)) == 0
        harness.wait_until(listening, "the server")

        def kill():
            """After some handshakes."""
            report = os.path.join(self.directory, "report.json")
            harness.wait_until(lambda: os.path.exists(report) and os.path.getsize(report), "its first second")
            server.kill()

        threading.Thread(target=kill, daemon=True).start()
        summary, _, _ = self.storm(f"127.0.0.1:{port}", "--rate", 50, "--duration", 3, "--warmup",
                                   0, "--cost", server.pid)
        self.assertGreater(summary["full"], 0)
        self.assertGreater(summary["failures"]["connection refused"], 0)
        self.assertIsNone(summary["cost"])
        self.assertTrue(any("ended during the run" in line for line in summary["warnings"]))

    def test_wrong_arguments_are_told(self):
        for arguments, told in (
                ([], "HOST:PORT"), (["nowhere"], "nowhere"), (["[::1"], "[::1"),
                (["1:2", "--rate", "0"], "--rate"), (["1:2", "--rate", "nan"], "--rate"),
                (["1:2", "--threads", "1.5"], "--threads"), (["1:2", "--tls", "1.1"], "--tls"),
                (["1:2", "--cost", "12,"], "--cost"), (["1:2", "--close", "x"], "--close"),
                (["1:2", "--rate", "1", "--concurrency", "1"], "exclude"),
                (["1:2", "--verify", "x", "--unchecked"], "exclude"),
                (["1:2", "--names", "x", "--server-name", "y"], "--server-name"),
                (["1:2", "--request", "x"], "begins with /"), (["1:2", "--no"], "--no"),
                (["1:2", "--rate"], "argument is missing")):
            with self.subTest(arguments):
                self.assertIn(told, self.refused(*arguments))
        for option, value in (("--groups", "x"), ("--sigalgs", "x"), ("--ciphersuites", "x"),
                              ("--verify", "/nonexistent"), ("--names", "/nonexistent"), ("--names", "/dev/null")):
            self.assertIn(option, self.refused("127.0.0.1:1", option, value, status=1))


class Cost(StormTest):
    def test_cpu_time_of_a_process_and_its_children(self):
        """Two busy processes, one the child of the other, for a known time."""
        server = self.server()
        code = ("import os, time\nos.fork()\nend = time.process_time() + 60\n"
                "while time.process_time() < end: pass")
        busy = subprocess.Popen(["python3", "-c", code], stdin=subprocess.DEVNULL,
                                start_new_session=True)
        self.addCleanup(busy.wait)
        self.addCleanup(os.killpg, busy.pid, signal.SIGKILL)
        harness.wait_until(lambda: proc.children(busy.pid), "its child")

        def used():
            ticks = 0
            for pid in (busy.pid, *proc.children(busy.pid)):
                user, system = proc.stat(pid)[11:13]
                ticks += int(user) + int(system)
            return ticks / os.sysconf("SC_CLK_TCK")

        for _ in range(TRIES):
            before = used()
            summary, _, text = self.storm(server.address, "--rate", 20, "--duration", 3, "--warmup", 0,
                                          "--cost", busy.pid)
            most = used() - before
            cost = summary["cost"]
            self.assertLessEqual(cost["cpu_seconds"], most + 4 / os.sysconf("SC_CLK_TCK"))  # whole ticks, four times
            if cost["cpu_seconds"] > 0.5 * most:
                break
        else:
            self.fail("at most half of what both used, or it takes long to start and to end")
        self.assertEqual(set(cost["processes"]), {"python3"})
        self.assertTrue(0 < cost["handshakes"] <= summary["full"])
        per = 1e6 * cost["cpu_seconds"] / cost["handshakes"]
        told = re.search(r"server CPU: ([0-9.]+) us per handshake", text)
        self.assertAlmostEqual(float(told.group(1)), per, delta=0.2)

    def test_a_cost_below_the_clock_is_blank(self):
        server = self.server()
        idle = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        self.addCleanup(idle.wait)
        self.addCleanup(idle.kill)
        summary, _, text = self.storm(server.address, "--rate", 20, "--duration", 1, "--cost",
                                      idle.pid)
        self.assertIsNone(summary["cost"])
        self.assertNotIn("server CPU", text)


if __name__ == "__main__":
    harness.main()

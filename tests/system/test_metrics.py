"""The figures of /metrics and /status.json match what was done."""

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import time

import backends
import clients
import harness
import proc
from certificates import certificate


class Metrics(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))

    def start(self, **options):
        self.proxy = self.start_proxy(
            [certificate("rsa-2048"), certificate("p-256")], self.backend.address, workers=2, **options)

    # The rows of immured are those of its last answer, so they are waited for as well.
    def wait_for_handshakes(self, expected, **labels):
        self.proxy.wait_for(expected, "immure_handshakes_total", **labels)

    def test_handshakes_and_signatures(self):
        self.start()
        for option, count in (("-tls1_2", 3), ("-tls1_3", 5)):
            for scheme in ("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"):
                for _ in range(count):
                    output, good = clients.s_client(self.proxy.port, option, "-sigalgs", scheme)
                    self.assertTrue(good, output[-1000:])
        self.wait_for_handshakes(6, version="TLSv1.2", result="full")
        self.wait_for_handshakes(10, version="TLSv1.3", result="full")
        for scheme in ("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"):
            for name in ("immure_sign_seconds", "immure_sign_queue_seconds"):
                self.proxy.wait_for(8, name + "_count", algorithm=scheme)
            self.assertGreater(self.proxy.metric("immure_sign_seconds_sum", algorithm=scheme), 0)
        self.assertEqual(self.proxy.metric("immure_handshake_seconds_count"), 16)
        self.assertEqual(self.proxy.metric("immure_accepted_total"), 16)
        self.proxy.wait_for(2, "immure_keyd_connected")
        self.assertEqual(self.proxy.metric("immure_sign_errors_total"), 0)

        tls = clients.context(clients.TLS12)
        session = None
        for _ in range(4):
            with clients.connect(self.proxy.port, tls, session=session) as connection:
                clients.echo_once(connection)
                session = connection.session
        self.wait_for_handshakes(7, version="TLSv1.2", result="full")
        self.wait_for_handshakes(3, version="TLSv1.2", result="resumed")

    def test_what_went_wrong(self):
        self.start(top='handshake-timeout = "3s"')
        with self.assertRaises(ssl.SSLError):  # nothing in common
            tls = clients.context(clients.TLS12)
            tls.set_ciphers("PSK-AES128-CBC-SHA:@SECLEVEL=0")
            clients.connect(self.proxy.port, tls)
        self.wait_for_handshakes(1, result="failed")

        socket.create_connection(("127.0.0.1", self.proxy.port)).close()
        self.wait_for_handshakes(1, result="aborted")

        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            self.proxy.wait_for(1, "immure_connections", state="handshaking")
            connection.recv(1)
        self.wait_for_handshakes(1, result="timeout")
        self.wait_for_handshakes(0, result="full")
        self.proxy.wait_for(0, "immure_connections")

    def test_connections_and_bytes(self):
        self.start()
        connections = [self.own(clients.connect(self.proxy.port)) for _ in range(7)]
        for connection in connections:
            clients.echo_once(connection, b"12345")
        self.proxy.wait_for(7, "immure_connections", state="established")
        for direction in ("in", "out"):
            self.proxy.wait_for(35, "immure_relayed_bytes_total", direction=direction)
        for connection in connections[:4]:
            connection.close()
        self.proxy.wait_for(3, "immure_connections")
        for connection in connections[4:]:
            clients.reset(connection)
        self.proxy.wait_for(0, "immure_connections")

    def test_figures_of_immured(self):
        """The figures are immured's own and, after it was killed, those of the next one."""
        self.start()
        for _ in range(5):
            clients.connect(self.proxy.port).close()
        self.proxy.wait_for(5, "immure_keyd_signatures_total")
        self.assertEqual(self.proxy.metric("immure_keyd_keys"), 2)
        self.proxy.wait_for(3, "immure_keyd_sessions")  # two loops and this question
        self.assertEqual(self.proxy.status()["immured"]["signatures_total"], 5)
        os.kill(self.proxy.immured(), signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.status()["immured"].get("signatures_total") == 0,
                           "the figures of the next immured")

    def test_turns(self):
        """Every thread counts turns, and a turn lasts as long as the work in it."""
        self.start()
        for _ in range(40):
            with clients.connect(self.proxy.port) as connection:
                clients.echo_once(connection)
        counts = [self.proxy.metric("immure_loop_turn_seconds_count", thread=str(thread))
                  for thread in (0, 1)]
        self.assertGreater(min(counts), 0)
        self.assertGreater(sum(counts), 80)
        for thread in ("0", "1"):
            quantiles = {name: self.proxy.metric("immure_loop_turn_seconds", thread=thread,
                                                 quantile=name)
                         for name in ("0.5", "0.99", "0.999", "0.9999", "0.999999", "1")}
            self.assertLessEqual(quantiles["0.5"], quantiles["1"])
            self.assertGreater(quantiles["1"], 0)
            self.assertNotEqual(quantiles["0.999999"], quantiles["0.999999"], "too few turns: NaN")

    def test_status_agrees(self):
        self.start()
        with clients.connect(self.proxy.port, clients.context(clients.TLS13)) as connection:
            clients.echo_once(connection)
            status = self.proxy.status()
            self.assertEqual(status["handshakes"]["TLSv1.3"]["full"], 1)
            self.assertEqual(status["connections"]["established"], 1)
        self.assertEqual((status["program"], status["signing"], status["workers"]),
                         ("immure-proxy", "async", 2))
        self.assertEqual(status["pid"], self.proxy.worker())
        self.assertEqual([row["count"] for row in status["signatures"]], [1])
        self.assertGreater(status["signatures"][0]["last_seconds"], 0)
        self.assertEqual(sorted(row["key_type"] for row in status["certificates"]),
                         ["P-256", "RSA-2048"])
        for row in status["certificates"]:
            self.assertIn("localhost", row["names"])
            self.assertGreater(row["not_after"], time.time() + 20 * 86400)

    def test_text_format(self):
        """Every family has HELP and TYPE before its rows, and none comes twice."""
        self.start()
        seen, current = set(), None
        for line in self.proxy.get("/metrics").splitlines():
            words = line.split()
            if words[:2] == ["#", "HELP"]:
                current = words[2]
                self.assertNotIn(current, seen)
                seen.add(current)
            elif words[:2] == ["#", "TYPE"]:
                self.assertEqual(words[2], current)
                self.assertIn(words[3], ("counter", "gauge", "histogram", "summary"))
                self.assertEqual(words[3] == "counter", current.endswith("_total"), current)
            else:
                self.assertRegex(line, rf'^{current}(_sum|_count|_bucket)?(\{{.*\}})? \S+$')
        self.assertLessEqual(
            {"immure_build_info", "immure_handshakes_total", "immure_handshake_seconds",
             "immure_sign_seconds", "immure_sign_queue_seconds", "immure_loop_turn_seconds",
             "immure_connections"}, seen)

    def test_pages(self):
        self.start()
        self.assertIn("</html>", self.proxy.get("/"))
        with self.assertRaisesRegex(OSError, "404"):
            self.proxy.get("/nothing")


class Continuity(harness.SystemTest):
    """Counters keep their values, whatever happens to the worker that counted."""

    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))

    def start(self, **options):
        self.proxy = self.start_proxy([certificate("p-256")], self.backend.address, workers=2, **options)

    def reload(self):
        """HUP, and waits until the new worker is the one that answers."""
        before = self.proxy.log().count("is in force")
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")
        worker = self.proxy.worker()
        harness.wait_until(lambda: self.answering() == worker, "the new worker to answer")

    def answering(self):
        with contextlib.suppress(OSError, http.client.HTTPException):  # the old one, which has just ended
            return self.proxy.status()["pid"]

    def counters(self):
        """{(name, labels): number} of all metrics that must never decrease; immured's own end with
        it."""
        kinds, found = {}, {}
        for line in self.proxy.get("/metrics").splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split()[2:]
                kinds[name] = kind
            elif not line.startswith("#"):
                row, number = line.rsplit(" ", 1)
                name = re.match(r"\w+", row).group()
                family = re.sub("_(bucket|sum|count)$", "", name)
                counted = kinds.get(name) == "counter" or kinds.get(family) == "histogram" or (
                    kinds.get(family) == "summary" and family != name and "thread=" not in row)
                if counted and not name.startswith(("process_", "immure_keyd_")):
                    found[row] = float(number)
        return found

    def test_a_draining_worker_is_counted(self):
        self.start()
        connection = self.own(clients.connect(self.proxy.port))
        clients.echo_once(connection, b"12345")
        self.proxy.wait_for(5, "immure_relayed_bytes_total", direction="out")
        self.assertEqual(self.proxy.metric("immure_draining_workers"), 0)
        self.reload()
        self.proxy.wait_for(1, "immure_draining_workers")
        self.assertEqual(self.proxy.metric("immure_draining_connections"), 1)
        self.assertEqual(self.proxy.metric("immure_connections", state="established"), 1)
        self.assertIn("earlier configurations: 1, with 1 of these connections.", self.proxy.get("/"))
        clients.echo_once(connection, b"1234567")
        self.proxy.wait_for(12, "immure_relayed_bytes_total", direction="out")
        self.assertEqual(self.proxy.status()["draining"], {"workers": 1, "connections": 1})
        self.assertEqual(self.proxy.metric("immure_keyd_connected"), 2)  # of the new worker's threads
        connection.close()
        self.proxy.wait_for(0, "immure_draining_workers")
        self.proxy.wait_for(0, "immure_connections")
        self.assertEqual(self.proxy.metric("immure_relayed_bytes_total", direction="out"), 12)
        self.assertEqual(self.proxy.metric("immure_connection_ends_total"), 1)

    def test_several_reloads(self):
        """After each of them some old workers have ended and others have not."""
        self.start()
        established = []
        for turn in range(1, 5):
            connection = self.own(clients.connect(self.proxy.port))
            clients.echo_once(connection, b"12345")
            established.append(connection)
            if turn % 2 == 0:
                established.pop(0).close()
            self.reload()
            self.proxy.wait_for(turn, "immure_handshakes_total", result="full")
            self.proxy.wait_for(turn, "immure_sign_seconds_count")
            self.assertEqual(self.proxy.metric("immure_accepted_total"), turn)
            self.proxy.wait_for(5 * turn, "immure_relayed_bytes_total", direction="in")
        for connection in established:
            connection.close()
        self.proxy.wait_for(0, "immure_draining_workers")
        harness.wait_until(lambda: len(proc.children(self.proxy.pid)) == 2, "the old processes' end")
        for _ in range(2):
            self.assertEqual(self.proxy.metric("immure_handshakes_total", result="full"), 4)
            self.assertEqual(self.proxy.metric("immure_handshake_seconds_count"), 4)
            self.assertEqual(self.proxy.metric("immure_relayed_bytes_total", direction="in"), 20)
            self.assertEqual(self.proxy.metric("immure_connections"), 0)
            self.reload()  # by the master's own sum now

    def test_a_killed_worker(self):
        self.start()
        for turn in range(1, 4):
            clients.echo_once(self.own(clients.connect(self.proxy.port)), b"12345")
            self.proxy.wait_for(5 * turn, "immure_relayed_bytes_total", direction="out")
            worker = self.proxy.worker()
            os.kill(worker, signal.SIGKILL)
            harness.wait_until(lambda worker=worker: self.answering() not in (worker, None), "the next worker")
            self.assertEqual(self.proxy.metric("immure_connections"), 0, "they are gone with it")
            self.assertEqual(self.proxy.metric("immure_handshakes_total", result="full"), turn)
            self.assertEqual(self.proxy.metric("immure_relayed_bytes_total", direction="out"), 5 * turn)
            self.proxy.wait_for(turn, "immure_sign_seconds_count")

    def test_nothing_ever_falls(self):
        """Whichever worker answers, while workers are replaced under load."""
        self.start()
        load = clients.HandshakeLoad(self.proxy.port, 2)
        seen, samples, falls = {}, 0, []

        def sample():
            nonlocal samples
            with contextlib.suppress(OSError, http.client.HTTPException):
                now = self.counters()
                falls.extend((row, seen[row], now.get(row)) for row in seen if now.get(row, 0) < seen[row])
                seen.update(now)
                samples += 1
        for turn in range(6):
            before = self.proxy.log().count("is in force")
            if turn % 3 == 2:
                os.kill(self.proxy.worker(), signal.SIGKILL)
            else:
                self.proxy.signal(signal.SIGHUP)
                harness.wait_until(lambda before=before: (sample(), self.proxy.log().count("is in force") > before)[1],
                                   "the reload")
            end = samples + 5
            harness.wait_until(lambda end=end: (sample(), samples >= end)[1], "five samples")
        load.stop()
        self.assertEqual(falls, [])
        self.assertGreater(seen['immure_handshakes_total{version="TLSv1.3",result="full"}'], 0)
        self.assertGreater(len(seen), 50)

    def hold_reload(self):
        """Holds a HUP at the point where two workers serve: the master is stopped before it learns
        that the second is ready."""
        self.addCleanup(self.proxy.signal, signal.SIGCONT)
        while True:
            known, before = proc.children(self.proxy.pid), self.proxy.log().count("is in force")
            self.proxy.signal(signal.SIGHUP)
            proc.newborn(self.proxy.pid, known, "immure-proxy: worker")
            self.proxy.signal(signal.SIGSTOP)
            if self.proxy.log().count("is in force") == before:
                return
            self.proxy.signal(signal.SIGCONT)  # it was too quick

    def test_two_workers_that_answer_at_the_same_time(self):
        """Whichever does, nothing falls, though the old one cannot know what the new one counts."""
        self.start(signing="in-process")  # so that a worker comes up without help
        self.hold_reload()
        load = clients.HandshakeLoad(self.proxy.port, 4)
        seen, last, changes, falls = {}, 0, 0, []

        def sample():
            nonlocal last, changes
            before, now, after = self.answering(), self.counters(), self.answering()
            falls.extend((row, seen[row], now.get(row)) for row in seen if now.get(row, 0) < seen[row])
            seen.update(now)
            changes += last != before == after
            last = after
            return changes > 6
        harness.wait_until(sample, "both to answer in turns")
        load.stop()
        self.assertEqual(falls, [])
        self.assertGreater(seen['immure_handshakes_total{version="TLSv1.3",result="full"}'], 0)


if __name__ == "__main__":
    harness.main()

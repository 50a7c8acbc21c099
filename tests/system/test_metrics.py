"""The figures of /metrics and /status.json are those of what was done."""

import os
import signal
import socket
import ssl
import time

import backends
import clients
import harness
from certificates import certificate


class Metrics(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy(
            [certificate("rsa-2048"), certificate("p-256")], self.backend.address, workers=2,
            top='handshake-timeout = "1s"\nidle-timeout = "2s"')

    def handshakes(self, version, result):
        return self.proxy.metric("immure_handshakes_total", version=version, result=result)

    def test_handshakes_and_signatures(self):
        for option, count in (("-tls1_2", 3), ("-tls1_3", 5)):
            for scheme in ("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"):
                for _ in range(count):
                    output, good = clients.s_client(self.proxy.port, option, "-sigalgs", scheme)
                    self.assertTrue(good, output[-1000:])
        self.assertEqual(self.handshakes("TLSv1.2", "full"), 6)
        self.assertEqual(self.handshakes("TLSv1.3", "full"), 10)
        for scheme in ("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"):
            for name in ("immure_sign_seconds", "immure_sign_queue_seconds"):
                self.assertEqual(self.proxy.metric(name + "_count", algorithm=scheme,
                                                   backend="openssl"), 8, name)
            self.assertGreater(self.proxy.metric("immure_sign_seconds_sum", algorithm=scheme), 0)
        self.assertEqual(self.proxy.metric("immure_handshake_seconds_count"), 16)
        self.assertEqual(self.proxy.metric("immure_accepted_total"), 16)
        self.assertEqual(self.proxy.metric("immure_keyd_connected"), 2)
        self.assertEqual(self.proxy.metric("immure_sign_errors_total"), 0)

        tls = clients.context(clients.TLS12)
        session = None
        for _ in range(4):
            with clients.connect(self.proxy.port, tls, session=session) as connection:
                clients.echo_once(connection)
                session = connection.session
        self.assertEqual(self.handshakes("TLSv1.2", "full"), 7)
        self.assertEqual(self.handshakes("TLSv1.2", "resumed"), 3)

    def test_what_went_wrong(self):
        with self.assertRaises(ssl.SSLError):  # nothing in common
            tls = clients.context(clients.TLS12)
            tls.set_ciphers("PSK-AES128-CBC-SHA:@SECLEVEL=0")
            clients.connect(self.proxy.port, tls)
        harness.wait_until(lambda: self.proxy.metric("immure_handshakes_total", result="failed") == 1,
                           "a failed handshake")

        socket.create_connection(("127.0.0.1", self.proxy.port)).close()
        harness.wait_until(lambda: self.proxy.metric("immure_handshakes_total", result="aborted") == 1,
                           "an aborted handshake")

        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            harness.wait_until(
                lambda: self.proxy.metric("immure_connections", state="handshaking") == 1,
                "a connection in its handshake")
            connection.recv(1)
        harness.wait_until(lambda: self.proxy.metric("immure_handshakes_total", result="timeout") == 1,
                           "a handshake out of time")
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="full"), 0)
        self.assertEqual(self.proxy.metric("immure_connections"), 0)

    def test_connections_and_bytes(self):
        connections = [self.own(clients.connect(self.proxy.port)) for _ in range(7)]
        for connection in connections:
            clients.echo_once(connection, b"12345")
        self.assertEqual(self.proxy.metric("immure_connections", state="established"), 7)
        for direction in ("in", "out"):
            self.assertEqual(self.proxy.metric("immure_relayed_bytes_total", direction=direction), 35)
        for connection in connections[:4]:
            connection.close()
        harness.wait_until(lambda: self.proxy.metric("immure_connections") == 3, "three connections")
        for connection in connections[4:]:
            clients.reset(connection)
        harness.wait_until(lambda: self.proxy.metric("immure_connections") == 0, "no connection")

    def test_figures_of_immured(self):
        """They are immured's own, and those of the next one when it was killed."""
        for _ in range(5):
            clients.connect(self.proxy.port).close()
        harness.wait_until(lambda: self.proxy.metric("immure_keyd_signatures_total") == 5,
                           "five signatures in immured's own figures")
        self.assertEqual(self.proxy.metric("immure_keyd_keys"), 2)
        self.assertEqual(self.proxy.metric("immure_keyd_sessions"), 3)  # two loops and this question
        self.assertEqual(self.proxy.status()["immured"]["signatures_total"], 5)
        os.kill(self.proxy.immured(), signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.status()["immured"].get("signatures_total") == 0,
                           "the figures of the next immured")

    def test_turns(self):
        """Every thread counts turns, and a turn is as long as what is done in it."""
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
        self.assertIn("</html>", self.proxy.get("/"))
        with self.assertRaisesRegex(OSError, "404"):
            self.proxy.get("/nothing")


if __name__ == "__main__":
    harness.main()

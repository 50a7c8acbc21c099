"""Whatever a client sends, established or not, in TLS 1.2 and 1.3: no turn of an event loop takes more CPU time
than its budgets and a step; who only makes work is cut off; others are served meanwhile. CPU time, because in
wall time whatever else the machine does is counted, too."""

import json
import subprocess
import threading
import time

import backends
import clients
import harness
from certificates import certificate

# ESTABLISHED_BUDGET of thread.c, handshake-budget, TIMERS_BUDGET of loop.c; and the steps that they end with.
BUDGETS = 0.001 + 0.001 + 0.0002
STEPS = harness.scaled(0.001, 0.05)
SECONDS = harness.endured(1.0, 10.0)

# way, TLS versions, whether the server ends it
ENDED = (("key-updates", ("1.3",)), ("key-updates-requested", ("1.3",)), ("key-updates-in-pieces", ("1.3",)),
         ("renegotiations", ("1.2",)), ("no-bytes", ("1.2", "1.3")), ("now-and-then-a-byte", ("1.2", "1.3")),
         ("warnings", ("1.2", "1.3")), ("hello-bytes", ("1.2", "1.3")), ("cipher-changes", ("1.2", "1.3")),
         ("plain-warnings", ("1.2", "1.3")))
SERVED = (("one-byte", ("1.2", "1.3")), ("key-updates-with-data", ("1.3",)), ("slow-reader", ("1.2", "1.3")))


def swallow(connection):
    while connection.recv(1 << 20):
        pass


class HostileRecords(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.failures = []
        self.proxy = None

    def attack(self, way, version, *options, seconds=SECONDS):
        done = subprocess.run([harness.program_path("hostile-client"), str(self.proxy.port), way, "--tls", version,
                               "--seconds", str(seconds), *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def judge_turns(self):
        self.assertLess(self.proxy.metric("immure_loop_turn_cpu_max_seconds"), BUDGETS + STEPS)

    def start(self, handler):
        self.proxy = self.start_proxy([certificate("p-256")], self.own(backends.Backend(handler)).address,
                                      workers=1)

    def each(self, ways, connections):
        for way, versions in ways:
            for version in versions:
                with self.subTest(way=way, version=version, connections=connections):
                    sent = self.attack(way, version, "--connections", str(connections))
                    self.assertGreater(sent["records"], 32)
                    self.judge_turns()
                    yield sent

    def test_who_makes_nothing_but_work_is_cut_off(self):
        self.start(swallow)
        for sent in self.each(ENDED, 1):
            self.assertGreater(sent["cut"], 0)
        self.assertGreater(self.proxy.metric("immure_connection_ends_total", how="no-data"), 0)
        self.assertIn("too many records without data", self.proxy.log())

    def test_who_sends_data_too_is_served_in_turn(self):
        self.start(swallow)
        for sent in self.each(SERVED, 1):
            self.assertEqual(sent["cut"], 0)

    def test_many_at_once(self):
        self.start(swallow)
        for _ in self.each(ENDED + SERVED, 100):
            pass

    def test_others_are_served_meanwhile(self):
        """All that a hundred clients send in records of one byte arrives, and so does a small request."""
        got = 0

        def count(connection):
            nonlocal got
            while data := connection.recv(1 << 20):
                if data[:4] == b"ping":
                    connection.sendall(data)
                else:
                    got += len(data)

        self.start(count)
        with clients.connect(self.proxy.port) as connection:
            flood = threading.Thread(target=self.attack, args=("one-byte", "1.3", "--connections", "100",
                                                               "--records", "700"))
            flood.start()
            while flood.is_alive():
                clients.echo_once(connection)
                time.sleep(0.01)
            flood.join()
        harness.wait_until(lambda: got == 100 * 700, lambda: f"70000 bytes, not {got}")
        self.judge_turns()

    def test_small_records_are_sent_on_together(self):
        """20,000 records of one byte are not 20,000 sends: the backend's kernel has not got so many segments."""
        sizes = []

        def note(connection):
            while data := connection.recv(1 << 20):
                sizes.append(len(data))

        self.start(note)
        self.attack("one-byte", "1.3", "--records", "20000")
        harness.wait_until(lambda: sum(sizes) == 20000, lambda: f"20000 bytes, not {sum(sizes)}")
        self.assertLess(len(sizes), 20000 / 8)


if __name__ == "__main__":
    harness.main()

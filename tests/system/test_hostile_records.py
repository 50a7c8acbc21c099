"""Whatever a client sends, established or not, in TLS 1.2 and 1.3: no turn of an event loop takes
more CPU time than its budgets and a step; clients that only cause work are disconnected, and others
are served meanwhile. CPU time is used because wall time would include other load on the machine."""

import json
import socket
import subprocess
import threading
import time

import backends
import clients
import harness
from certificates import certificate

# ESTABLISHED_BUDGET of thread.c, handshake-budget, TIMERS_BUDGET of loop/loop.c; the last steps come on
# top.
BUDGETS = 0.001 + 0.0002 + 0.0002
STEPS = harness.scaled(0.001, 0.05)
SECONDS = 10.0 if harness.LONG else 0.5

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
    def start(self, handler):
        self.proxy = self.start_proxy([certificate("p-256")], self.own(backends.Backend(handler)).address,
                                      workers=1)

    def attack(self, way, version, *options, seconds=SECONDS):
        """Returns what the client sent, and how often it was disconnected."""
        done = subprocess.run([harness.program_path("hostile-client"), str(self.proxy.port), way, "--tls", version,
                               "--seconds", str(seconds), *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def longest_turn(self):
        return self.proxy.metric("immure_loop_turn_cpu_max_seconds")

    def each(self, ways, connections, judge):
        """Retries, because the kernel attributes unrelated interrupts to the thread, too."""
        for way, versions in ways:
            for version in versions:
                def measure(way=way, version=version):
                    self.start(swallow)
                    sent = self.attack(way, version, "--connections", str(connections))
                    longest = self.longest_turn()
                    self.assertGreater(sent["records"], 32)
                    judge(sent)
                    self.stop_programs()
                    self.programs.clear()
                    return longest
                with self.subTest(way=way, version=version, connections=connections):
                    harness.assert_within(BUDGETS + STEPS, measure, tries=3)

    def test_who_makes_nothing_but_work_is_cut_off(self):
        def judge(sent):
            self.assertGreater(sent["cut"], 0)
        self.each(ENDED, 1, judge)

    def test_a_long_hello_has_no_memory(self):
        """libssl would allocate 131,000 bytes for each client that has sent nine."""
        self.start(swallow)
        for size in (16385, 131000):
            with self.own(socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT)) as client:
                client.sendall(b"\x16\x03\x01\x00\x04\x01" + size.to_bytes(3, "big"))
                self.assertEqual(client.recv(1), b"")
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="failed"), 2)

    def test_a_hello_of_a_record_is_taken(self):
        self.start(swallow)
        for version in (clients.TLS12, clients.TLS13):
            left = 5 + 16384 - len(clients.client_hello(version)) - 6  # record's and extension's headers
            tls = clients.context(version, alpn=["x" * 250] * (left // 251))
            clients.connect(self.proxy.port, tls).close()

    def test_it_is_told(self):
        self.start(swallow)
        self.attack("key-updates", "1.3")
        self.assertGreater(self.proxy.metric("immure_connection_ends_total", how="no-data"), 0)
        self.assertIn("too many records without data", self.proxy.log())

    def test_who_sends_data_too_is_served_in_turn(self):
        def judge(sent):
            self.assertEqual(sent["cut"], 0)
        self.each(SERVED, 1, judge)

    def test_many_at_once(self):
        self.each(ENDED + SERVED, 100, lambda sent: None)

    def test_others_are_served_meanwhile(self):
        """All that a hundred clients send in records of one byte arrives, and so does a small request."""
        sizes = []

        def count(connection):
            while data := connection.recv(1 << 20):
                if data[:4] == b"ping":
                    connection.sendall(data)
                else:
                    sizes.append(len(data))

        self.start(count)
        with clients.connect(self.proxy.port) as connection:
            flood = threading.Thread(target=self.attack, kwargs={"seconds": harness.LIMIT},
                                     args=("one-byte", "1.3", "--connections", "100", "--records", "700"))
            flood.start()
            while flood.is_alive():
                clients.echo_once(connection)
                time.sleep(0.01)
            flood.join()
        harness.wait_until(lambda: sum(sizes) == 100 * 700, lambda: f"70000 bytes, not {sum(sizes)}")

    def test_small_records_are_sent_on_together(self):
        """20,000 records of one byte do not cause 20,000 sends: the backend receives fewer
        segments."""
        sizes = []

        def note(connection):
            while data := connection.recv(1 << 20):
                sizes.append(len(data))

        self.start(note)
        self.attack("one-byte", "1.3", "--records", "20000", seconds=harness.LIMIT)
        harness.wait_until(lambda: sum(sizes) == 20000, lambda: f"20000 bytes, not {sum(sizes)}")
        self.assertLess(len(sizes), 20000 / 8)


if __name__ == "__main__":
    harness.main()

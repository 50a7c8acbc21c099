"""Whatever a client sends to immured as fast as it can is charged to its own account, and the
excess is refused."""

import contextlib
import os
import signal
import time

import harness
import proc
import wire
from immured import ImmuredTest, Key, key_process

ASIDES = 10_000  # a second, of what is neither SIGN nor DECRYPT


class Cancels(ImmuredTest):
    JOBS, STEP, CANCELS = 4000, 65536, 9000

    def in_flight(self, ids):
        client = self.connect()
        client.send(b"".join(wire.sign(id, self.key.id, wire.ECDSA_SHA256, wire.tls13_message()) for id in ids))
        return client

    def cost(self, ids):
        """CPU seconds for this many CANCELs of unknown ids, while these requests are in flight."""
        client = self.in_flight(ids)
        harness.wait_until(lambda: self.second.stats()[14] >= self.JOBS / 2, "the requests to wait")
        before = proc.cpu(self.pid)
        client.send(b"".join(wire.frame(wire.CANCEL, (1 << 48) + i * self.STEP) for i in range(self.CANCELS)))
        client.send(wire.frame(wire.PING, 1 << 50, b"done"))
        while client.receive().type != wire.PONG:
            pass
        took = proc.cpu(self.pid) - before
        client.close()
        harness.wait_until(lambda: self.second.stats()[14] == 0, "the requests to be gone")
        return took

    def test_chosen_ids_cost_no_more_than_others(self):
        """With a poor hash function, ids with equal low bits would all end up in one list."""
        self.key = Key("p-256", more="backend = delay")
        self.pid = key_process(self.start_immured(self.key, program="immured-test"))
        self.second = self.connect()
        chosen = range(self.STEP, self.STEP * (self.JOBS + 1), self.STEP)
        harness.assert_within(harness.scaled(0.06, 0.6), lambda: self.cost(chosen))

    def test_an_id_that_is_in_flight_is_not_taken_twice(self):
        self.key = Key("p-256", more="backend = delay")
        self.start_immured(self.key, program="immured-test")
        with self.in_flight([7, 8, 7]) as client:
            self.assert_ended(client, wire.E_MALFORMED)
        with self.in_flight([7]) as client:
            self.assertEqual(client.receive().type, wire.SIGNED)
            client.send(wire.sign(7, self.key.id, wire.ECDSA_SHA256, wire.tls13_message()))
            self.assertEqual(client.receive().type, wire.SIGNED, "it was answered before")


class Asides(ImmuredTest):
    def test_what_is_no_signature_has_a_budget(self):
        key = Key("p-256")
        self.start_immured(key)
        for type, payload, good in ((wire.PING, b"", wire.PONG), (wire.STATS, b"", wire.FIGURES),
                                    (wire.LIST, bytes(4), wire.KEYS)):
            with self.subTest(type=type), self.connect() as client:
                begun, answers = time.monotonic(), {good: 0, wire.ERROR: 0}
                for first in range(1, 3 * ASIDES, 100):
                    client.send(b"".join(wire.frame(type, id, payload) for id in range(first, first + 100)))
                    for _ in range(100):
                        reply = client.receive()
                        answers[reply.type] += 1
                        if reply.type == wire.ERROR:
                            self.assert_error(reply, wire.E_BUSY)
                took = time.monotonic() - begun
                self.assertLessEqual(answers[good], ASIDES * (1 + took) + 1)
                self.assertEqual(sum(answers.values()), 3 * ASIDES)
                self.assert_served(client, key)

    def test_what_there_is_no_room_for_is_not_charged(self):
        """Requests beyond the in-flight limit are refused, and use no tokens of the rate."""
        key = Key("p-256", more='backend = delay rate = "1/m burst 6000"')
        self.start_immured(key, program="immured-test")
        one, two = self.connect(), self.connect()
        asked = 4096 + 1000
        one.send(b"".join(wire.sign(id, key.id, wire.ECDSA_SHA256, wire.tls13_message())
                          for id in range(1, asked + 1)))
        replies = [one.receive() for _ in range(asked)]
        refused = [reply.error for reply in replies if reply.type == wire.ERROR]
        self.assertGreater(len(refused), 0)
        self.assertEqual({code for code, _ in refused}, {wire.E_BUSY})
        self.assertNotIn("rate", " ".join(text for _, text in refused))
        left = 6000 - (asked - len(refused))
        for id in range(0, left, 500):
            batch = range(id + 1, min(id + 500, left) + 1)
            two.send(b"".join(wire.sign(id, key.id, wire.ECDSA_SHA256, wire.tls13_message()) for id in batch))
            for _ in batch:
                reply = two.receive()
                self.assertEqual(reply.type, wire.SIGNED, repr(reply))
        code, text = two.sign(key.id, wire.ECDSA_SHA256, wire.tls13_message()).error
        self.assertEqual(code, wire.E_BUSY)
        self.assertIn("rate", text)


class Silence(ImmuredTest):
    CLIENTS = 300  # more than are heard in one turn

    def test_who_does_not_greet_is_ended(self):
        self.start_immured(Key("p-256"))
        silent, late = self.connect(greet=False), self.connect(greet=False)
        half = self.connect(greet=False)
        half.send(wire.hello()[:7])
        greeted = self.connect()
        time.sleep(4)
        late.send(wire.hello())
        self.assertEqual(late.receive().type, wire.WELCOME)
        began = time.monotonic()
        for each in (silent, half):
            self.assert_ended(each, wire.E_STALLED)
        self.assertLess(time.monotonic() - began, harness.LIMIT)
        time.sleep(2)
        for each in (late, greeted):
            each.ping()

    def test_a_standstill_is_not_held_against_who_is_to_greet(self):
        pid = key_process(self.start_immured(Key("p-256")))
        clients = [self.connect(greet=False) for _ in range(self.CLIENTS)]
        with self.connect() as another:
            harness.wait_until(lambda: another.stats()[3] == self.CLIENTS + 1, "the sessions")
        proc.stop(pid)
        for each in clients:
            each.send(wire.hello())
        time.sleep(6)  # more than they have
        os.kill(pid, signal.SIGCONT)
        for each in clients:
            self.assertEqual(each.receive().type, wire.WELCOME)


class NeverRead(ImmuredTest):
    SESSIONS = 150
    # An account that is alone may hold a quarter of ACCOUNTS_BYTES_MAX (keyd/rules/account.h), and
    # the allocator's blocks are up to a quarter larger than what is in them. Each session has its
    # own struct and table of requests besides.
    GROWTH = (64 << 20) // 4 * 5 // 4 + SESSIONS * 8192

    def stuff(self, client, frame):
        """Sends until the peer stops reading."""
        client.socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            for first in range(1, 5000, 50):
                client.send(b"".join(frame(id) for id in range(first, first + 50)))

    @harness.not_sanitized("the allocator keeps what was freed")
    def test_replies_that_nobody_reads_take_little_memory(self):
        key = Key("p-256")
        immured = self.start_immured(key, top='stall-timeout = "1h"\nqueue-age = "1h"')
        pid = key_process(immured)
        second = self.connect()
        before = proc.resident(pid)
        frames = (lambda id: wire.frame(wire.LIST, id, bytes(4)),
                  lambda id: wire.sign(id, key.id, wire.ECDSA_SHA256, wire.tls13_message()),
                  lambda id: wire.sign(id, key.id, wire.ECDSA_SHA256, b"no handshake"))
        for number in range(self.SESSIONS):
            self.stuff(self.connect(), frames[number % len(frames)])
        harness.wait_until(lambda: second.stats()[14] == 0, "all to be signed")
        growth = proc.resident(pid) - before
        print(f"{self.SESSIONS} sessions that do not read: {growth / (1 << 20):.1f} MiB more")
        self.assertLessEqual(growth, self.GROWTH)
        self.assertEqual(key_process(immured), pid)


if __name__ == "__main__":
    harness.main()

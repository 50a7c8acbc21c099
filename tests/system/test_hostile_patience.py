"""The effect on a client of immured while another sends hostile frames of all kinds. In
script/endure, on an otherwise idle machine, its P99 is at most twice the quiet value (the ratio of
the medians of alternating quiet and hostile rounds)."""

import gc
import multiprocessing
import os
import random
import socket
import statistics
import struct
import time

import harness
import proc
import wire
from immured import ImmuredTest, Key

ROUNDS = harness.endured(3, 7)  # of each kind
SECONDS = 3.0 if harness.LONG else 0.3  # of one
WARM_UP = 0.1  # seconds that are not counted
MOST = 2.0  # times the quiet P99
PAUSE = 0.001  # between two signatures
SIGN_LONGEST = 38 + 65000


def measure(path, key, orders):
    """A process of its own: for each order, the P99 in seconds of SECONDS of signatures, one after the other."""
    os.setsid()  # otherwise it would share one scheduling weight (autogroup) with the hostile client
    gc.disable()
    message, scheme = wire.tls13_message(), key.tls13_scheme()
    with wire.Client.connect(path, timeout=harness.LIMIT) as client:
        while orders.recv():
            begin, took = time.monotonic(), []
            while not took or time.monotonic() < begin + WARM_UP + SECONDS:
                asked = time.monotonic()
                assert client.sign(key.id, scheme, message).type == wire.SIGNED
                if asked > begin + WARM_UP:
                    took.append(time.monotonic() - asked)
                time.sleep(PAUSE)
            orders.send(sorted(took)[len(took) * 99 // 100])


class Hostile:
    """A client that sends invalid frames as fast as it is disconnected; each call does something
    different."""

    def __init__(self, path, key):
        self.path, self.random, self.turn = path, random.Random(1), 0
        message = wire.tls13_message()
        self.stream = wire.hello() + (
            wire.frame(wire.LIST, 1, bytes(4)) + wire.frame(wire.PING, 2, b"p" * 64)
            + wire.sign(3, key.id, wire.ECDSA_SHA256, message)
            + wire.frame(wire.DECRYPT, 4, key.id + struct.pack("!HI", 0x303, 0) + b"c" * 256)
            + wire.frame(wire.CANCEL, 3) + wire.frame(wire.STATS, 5))
        self.deeds = [self.length, self.huge_length, self.longest, self.cut, self.byte_by_byte, self.changed,
                      self.descriptors, self.junk, self.refused_message]
        self.refused = wire.sign(3, key.id, wire.ECDSA_SHA256, b"no handshake")

    def __call__(self):
        with wire.Client.connect(self.path, timeout=harness.LIMIT, greet=False) as client:
            try:
                self.deeds[self.turn % len(self.deeds)](client)
                client.socket.shutdown(socket.SHUT_WR)
                while client.socket.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
        self.turn += 1

    def length(self, client):
        client.send(wire.hello() + wire.frame(wire.PING, 1, length=self.random.randrange(65536)))

    def huge_length(self, client):
        client.send(wire.hello() + struct.pack("!I", self.random.choice((1 << 31, (1 << 32) - 1))) * 4)

    def longest(self, client):
        client.send(wire.hello() + wire.frame(wire.SIGN, 1, bytes(SIGN_LONGEST)))

    def cut(self, client):
        client.send(self.stream[:self.random.randrange(len(self.stream))])

    def byte_by_byte(self, client):
        for byte in self.stream:
            client.send(bytes([byte]))

    def changed(self, client):
        at = self.random.randrange(len(self.stream))
        client.send(self.stream[:at] + bytes([self.stream[at] ^ 0x55]) + self.stream[at + 1:])

    def descriptors(self, client):
        with open(os.devnull, "rb") as file:
            socket.send_fds(client.socket, [self.stream], [file.fileno()] * 253)

    def junk(self, client):
        client.send(wire.hello() * (self.turn % 2) + self.random.randbytes(1 + self.turn % 3000))

    def refused_message(self, client):
        client.send(wire.hello() + self.refused)


class HostilePatience(ImmuredTest):
    """The hostile client has its own CPU, because its own work must not count against immured."""

    def setUp(self):
        super().setUp()
        self.others = proc.busy(1.0) if harness.LONG else 0
        cpus = sorted(os.sched_getaffinity(0))
        self.addCleanup(os.sched_setaffinity, 0, cpus)
        os.sched_setaffinity(0, cpus[:-1] or cpus)
        self.key = Key("p-256")
        self.immured = self.start_immured(self.key)  # inherits the CPUs
        self.orders, other_end = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.second = context.Process(target=measure, args=(self.path, self.key, other_end),
                                      daemon=True)
        self.second.start()
        self.addCleanup(self.second.kill)
        os.sched_setaffinity(0, cpus[-1:])

    def round(self, deed):
        """Returns the second client's P99 in seconds while `deed` is repeated."""
        self.orders.send(True)
        begin, deeds = time.monotonic(), 0
        while not self.orders.poll():
            deed()
            deeds += 1
        self.assertTrue(self.second.is_alive(), "the second client was not served")
        return self.orders.recv(), deeds / (time.monotonic() - begin)

    def test_p99_of_a_second_client(self):
        hostile, quiet, disturbed = Hostile(self.path, self.key), [], []
        for _ in range(ROUNDS):
            quiet.append(self.round(lambda: time.sleep(0.01)))
            disturbed.append(self.round(hostile))
        self.orders.send(False)
        before, after = (statistics.median(p99 for p99, _ in rounds) for rounds in (quiet, disturbed))
        print(f"P99 of a second client: {before * 1e6:.0f} us quiet, {after * 1e6:.0f} us with "
              f"{statistics.median(rate for _, rate in disturbed):.0f} hostile connections a second "
              f"(medians of {ROUNDS} rounds in turn): {after / before:.2f} times, at most {MOST:.0f}; "
              f"{self.others:.0%} of the CPU time was used by others")
        if harness.LONG:
            self.judge_when_quiet(self.others)
            self.assertLessEqual(after / before, MOST)


if __name__ == "__main__":
    harness.main()

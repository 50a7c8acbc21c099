"""One user of immured sends as many requests as it can; another, who sends a few, is still
served."""

import contextlib
import os
import select
import signal
import socket
import time

import harness
import wire
from immured import ImmuredTest, Key

FLOOD_UID, OTHER_UID = 50001, 50002
CONNECTIONS = 24
WINDOW = harness.scaled(4096, 512)  # pending requests of each
ASKED = 50  # by the other, of each key


def count_replies(data, rest):
    """Returns how many frames end in the data, and the incomplete rest."""
    data = rest + data
    at = count = 0
    while len(data) - at >= wire.HEADER.size:
        end = at + wire.HEADER.size + wire.HEADER.unpack_from(data, at)[2]
        if end > len(data):
            break
        at, count = end, count + 1
    return count, data[at:]


class Flood:
    """A connection that keeps WINDOW requests pending."""

    def __init__(self, path, key):
        self.client = wire.Client.connect(path, timeout=harness.LIMIT)
        self.client.socket.setblocking(False)
        self.key, self.last, self.due, self.output, self.rest = key, 0, WINDOW, b"", b""

    def go_on(self):
        if self.due and not self.output:
            self.output = b"".join(
                wire.sign(self.last + 1 + i, self.key.id, self.key.tls13_scheme(), wire.tls13_message())
                for i in range(self.due))
            self.last, self.due = self.last + self.due, 0
        with contextlib.suppress(BlockingIOError):
            self.output = self.output[self.client.socket.send(self.output):] if self.output else b""
        with contextlib.suppress(BlockingIOError):
            count, self.rest = count_replies(self.client.socket.recv(1 << 20), self.rest)
            self.due += count


def flood(path, key, told):
    """Floods on all connections, for ever; reports when each has filled its window."""
    streams = [Flood(path, key) for _ in range(CONNECTIONS)]
    poll, by_descriptor = select.poll(), {each.client.socket.fileno(): each for each in streams}
    while True:
        for descriptor, each in by_descriptor.items():
            each.go_on()
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if each.output else 0))
        if told is not None and all(each.last >= WINDOW for each in streams):
            os.write(told, b".")
            told = None
        poll.poll(100)


class Neighbours(ImmuredTest):
    def become(self, uid):
        os.setgroups([])
        os.setresuid(uid, uid, uid)

    def start_flood(self, key):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                self.become(FLOOD_UID)
                flood(self.path, key, writing)
            finally:
                os._exit(1)
        os.close(writing)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)
        self.assertEqual(os.read(reading, 1), b".", "the flood does not stand")

    def serve_another(self, flooded, *keys):
        """The outcomes of the other user's requests."""
        os.chmod(self.directory, 0o711)
        self.start_immured(*keys, top=f'queue-age = "1h"\nallow-users = {{{FLOOD_UID}, {OTHER_UID}}}')
        self.start_flood(flooded)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self.become(OTHER_UID)
                with wire.Client.connect(self.path, timeout=harness.LIMIT) as client:
                    for key in keys:
                        for _ in range(ASKED):
                            reply = client.sign(key.id, key.tls13_scheme(), wire.tls13_message())
                            assert reply.type == wire.SIGNED, reply
                status = 0
            except AssertionError as error:
                print(error)
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    @harness.needs_root("to be two users")
    def test_beside_a_flood_of_rsa(self):
        one, two = Key("rsa-2048"), Key("p-256")
        self.serve_another(one, one, two)

    @harness.needs_root("to be two users")
    def test_beside_a_flood_of_ecdsa(self):
        one, two = Key("p-256"), Key("rsa-2048")
        self.serve_another(one, one, two)

    @harness.needs_root("to be two users")
    def test_descriptors_are_there_for_who_has_few(self):
        """One user takes all descriptors and stays silent."""
        key = Key("p-256")
        os.chmod(self.directory, 0o711)
        self.start_limited(key, 300)
        child = os.fork()
        if child == 0:
            try:
                self.become(FLOOD_UID)
                held = []
                for _ in range(293):
                    held.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                    held[-1].connect(self.path)
                time.sleep(harness.LIMIT)
            finally:
                os._exit(0)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)
        first = self.connect()
        harness.wait_until(lambda: first.stats()[3] >= 200, "the sessions of the other")
        for _ in range(20):
            self.assert_served(self.connect(), key)
        self.assert_served(first, key)

    @harness.needs_root("to be two users")
    def test_descriptors_are_there_though_no_session_is_idle(self):
        """One user takes them all, and the sessions that have been silent for longest have unread replies."""
        key = Key("p-256")
        os.chmod(self.directory, 0o711)
        self.start_limited(key, 300)
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        child = os.fork()
        if child == 0:
            try:
                self.become(FLOOD_UID)
                held = []
                with contextlib.suppress(wire.Closed, BrokenPipeError):  # until there is no more
                    while len(held) < 300:
                        held.append(wire.Client.connect(self.path))
                        if len(held) <= 20:
                            self.leave_unread(held[-1])
                os.write(writing, b".")
                time.sleep(harness.LIMIT)
            finally:
                os._exit(0)
        os.close(writing)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)
        self.assertEqual(os.read(reading, 1), b".")
        for _ in range(3):
            self.assert_served(self.connect(), key)

    @staticmethod
    def leave_unread(client):
        """Sends requests until immured stops reading, because nobody reads its replies."""
        client.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            client.send(b"".join(wire.frame(wire.LIST, id, bytes(4)) for id in range(1, 50_000)))
            raise AssertionError("all of it was taken")

    def start_limited(self, key, limit):
        self.start_immured(key, top=f'stall-timeout = "1h"\nallow-users = {{{FLOOD_UID}}}').stop()
        self.programs.clear()
        immured = self.start_program("/bin/sh", "-c", f'ulimit -n {limit} && exec "$0" --config "$1"',
                                     harness.program_path("immured"), self.config)
        harness.wait_until(lambda: " serves" in immured.log(), "immured to serve")


if __name__ == "__main__":
    harness.main()

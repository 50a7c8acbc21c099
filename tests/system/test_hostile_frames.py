"""Whatever a hostile client sends to immured costs only its own connection."""

import os
import socket
import struct
import threading
import time

import harness
import proc
import wire
from immured import ImmuredTest, Key, key_process

GROWTH = 1 << 20  # bytes by which immured may grow
PATIENCE = harness.scaled(1.0, 5.0)  # seconds that a second client may wait, but other load may
SLOWEST = 10                         # delay one request in this many
STEP = 1 if harness.LONG else harness.scaled(15, 151)  # between lengths
SIGN_SHORTEST, SIGN_LONGEST, PAYLOAD_MAX = 39, 38 + 65000, 65524


class SecondClient(threading.Thread):
    """Requests one signature after the other, and records how long each took."""

    def __init__(self, path, key):
        super().__init__(daemon=True)
        self.client = wire.Client.connect(path, timeout=harness.LIMIT)
        self.key, self.stopping, self.waits, self.wrong = key, False, [], []
        self.start()

    def run(self):
        message = wire.tls13_message()
        while not self.stopping:
            begin = time.monotonic()
            try:
                reply = self.client.sign(self.key.id, self.key.tls13_scheme(), message)
                if reply.type != wire.SIGNED:
                    self.wrong.append(repr(reply))
            except (OSError, wire.Closed, AssertionError) as error:
                self.wrong.append(repr(error))
                return
            self.waits.append(time.monotonic() - begin)
            time.sleep(0.005)

    def stop(self):
        self.stopping = True
        self.join(harness.LIMIT)
        self.client.close()


class HostileFrames(ImmuredTest):
    def setUp(self):
        super().setUp()
        self.key = Key("p-256")
        self.immured = self.start_immured(self.key)
        self.pid = key_process(self.immured)
        self.second = SecondClient(self.path, self.key)
        self.send_cut(wire.frame(wire.SIGN, 1, bytes(SIGN_LONGEST)))  # the heap finds its size
        self.before = self.figures()

    def figures(self):
        """(descriptors, bytes of memory) once all sessions but the second client's are gone."""
        with wire.Client.connect(self.path, timeout=harness.LIMIT) as client:
            harness.wait_until(lambda: client.stats()[3] == 2, "the hostile sessions to be gone")
            held = proc.descriptors(self.pid) if os.geteuid() == 0 else 0
            return held, proc.resident(self.pid)

    def tearDown(self):
        descriptors, memory = self.figures()
        harness.wait_until(lambda: len(self.second.waits) > SLOWEST or self.second.wrong,
                           "the second client to be served")
        self.second.stop()
        self.assertEqual(self.second.wrong, [])
        waits = sorted(self.second.waits)
        self.assertLess(waits[-1 - len(waits) // SLOWEST], PATIENCE)
        self.assertEqual(key_process(self.immured), self.pid, "immured was not to be replaced")
        self.assertEqual(descriptors, self.before[0])
        if not harness.SANITIZE:
            self.assertLess(memory - self.before[1], GROWTH)

    def send_cut(self, data, greet=True):
        """Sends what is taken of it, and leaves."""
        with wire.Client.connect(self.path, timeout=harness.LIMIT, greet=False) as client:
            try:
                client.send((wire.hello() if greet else b"") + data)
            except (BrokenPipeError, ConnectionResetError):
                pass

    def assert_refused(self, data, code):
        """Sends it together with the greeting; the last reply is this error."""
        with wire.Client.connect(self.path, timeout=harness.LIMIT, greet=False) as client:
            client.send(wire.hello() + data)
            self.assertEqual(client.receive().type, wire.WELCOME)
            self.assert_ended(client, code)

    def test_headers_of_every_length(self):
        """Header lengths for a type with few valid ones; no payload follows."""
        for length in sorted({*range(0, 65536, STEP), *range(300), *range(65500, 65536)}):
            if length > 64:
                self.assert_refused(wire.frame(wire.PING, 1, length=length), wire.E_FRAME_SIZE)
            else:
                self.send_cut(wire.frame(wire.PING, 1, length=length))

    def test_frames_of_every_length(self):
        """On one connection, as long as they are of a length that SIGN can have."""
        payload = memoryview(bytes(PAYLOAD_MAX))
        lengths = sorted({*range(SIGN_SHORTEST, SIGN_LONGEST + 1, STEP), SIGN_LONGEST})
        with self.connect() as client:
            for number, length in enumerate(lengths, 1):
                client.send(wire.frame(wire.SIGN, number, length=length))
                client.send(payload[:length])
                reply = client.receive()
                self.assertEqual(reply.id, number)
                self.assert_error(reply, wire.E_UNKNOWN_KEY)
        for length in (SIGN_LONGEST + 1, PAYLOAD_MAX, PAYLOAD_MAX + 1, 65535):
            self.assert_refused(wire.frame(wire.SIGN, 1, length=length), wire.E_FRAME_SIZE)

    def test_lengths_of_other_protocols(self):
        """2^31 and its like, as 32 bits in either order, at every place of the first bytes."""
        for value in (1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 24, 65536):
            for order in ("!I", "<I"):
                number = struct.pack(order, value)
                for at in range(wire.HEADER.size - 3):
                    header = bytearray(wire.frame(wire.PING, 1))
                    header[at:at + 4] = number
                    self.send_cut(bytes(header) + b"z" * 100)
                    self.send_cut(bytes(header) + b"z" * 100, greet=False)
                self.send_cut(number * 1000, greet=False)

    def every_frame(self):
        message = wire.tls13_message()
        return (wire.frame(wire.LIST, 1, bytes(4)) + wire.frame(wire.PING, 2, b"p" * 64)
                + wire.sign(3, self.key.id, wire.ECDSA_SHA256, message)
                + wire.frame(wire.DECRYPT, 4, self.key.id + struct.pack("!HI", 0x303, 0) + b"c" * 256)
                + wire.frame(wire.CANCEL, 3) + wire.frame(wire.STATS, 5))

    def test_cut_at_every_byte(self):
        stream = wire.hello() + self.every_frame()
        for cut in range(len(stream)):
            self.send_cut(stream[:cut], greet=False)

    def test_byte_by_byte(self):
        with self.connect() as client:
            for byte in self.every_frame():
                client.send(bytes([byte]))
            self.assertEqual({client.receive().id for _ in range(5)}, {1, 2, 3, 4, 5})

    def test_changed_at_every_byte(self):
        stream = wire.hello() + self.every_frame()
        for at in range(len(stream)):
            self.send_cut(stream[:at] + bytes([stream[at] ^ 0x55]) + stream[at + 1:], greet=False)

    def test_descriptors_attached(self):
        """Descriptors are neither kept nor do they change the reply."""
        with self.connect() as client, open(os.devnull, "rb") as file:
            for count in (1, 2, 100, 253):
                for number in range(20):
                    socket.send_fds(client.socket, [wire.frame(wire.PING, number + 1, b"p")],
                                    [file.fileno()] * count)
                    self.assertEqual(client.receive().type, wire.PONG)
                    for byte in wire.frame(wire.PING, number + 1):
                        socket.send_fds(client.socket, [bytes([byte])], [file.fileno()] * count)
                    self.assertEqual(client.receive().type, wire.PONG)
            with wire.Client.connect(self.path, timeout=harness.LIMIT, greet=False) as other:
                socket.send_fds(other.socket, [wire.hello()], [file.fileno()])
                self.assertEqual(other.receive().type, wire.WELCOME)

    def test_junk(self):
        """Half of the junk follows a valid greeting."""
        for number in range(harness.endured(600, 20_000)):
            self.send_cut(os.urandom(1 + number * 7 % 3000), greet=number % 2 == 0)


if __name__ == "__main__":
    harness.main()

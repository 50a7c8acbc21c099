"""The protocol while one end is a version behind the other: what the older end does not know is not
sent to it, and all else goes on."""

import os
import re
import socket
import struct
import threading

import backends
import clients
import harness
import wire
from certificates import certificate
from immured import ImmuredTest, Key

OLD = 1  # the last version without TICKETS


class OldClient(ImmuredTest):
    """A client that speaks the version before, and an immured of today."""

    def setUp(self):
        super().setUp()
        secret = os.path.join(self.directory, "secret")
        with open(secret, "wb") as file:
            file.write(bytes(range(32)))
        self.key = Key("p-256")
        self.immured = self.start_immured(self.key, top=f'ticket-secret-file = "{secret}"')

    def greet(self, lowest, highest):
        client = self.connect(greet=False)
        client.send(wire.hello(lowest, highest))
        version = struct.unpack("!IHHI", client.receive().payload)[1]
        return client, version

    def test_highest_version_in_common(self):
        for lowest, highest, version in ((wire.LOWEST, OLD, OLD), (OLD, OLD, OLD), (0, OLD, OLD),
                                         (OLD, wire.VERSION, wire.VERSION),
                                         (wire.LOWEST, wire.VERSION + 1, wire.VERSION)):
            with self.subTest(lowest=lowest, highest=highest):
                client, agreed = self.greet(lowest, highest)
                self.assertEqual(agreed, version)
                client.ping()
                self.assert_served(client, self.key)

    def test_frame_of_a_later_version(self):
        old, _ = self.greet(OLD, OLD)
        new, _ = self.greet(OLD, wire.VERSION)
        self.assert_served(old, self.key)
        old.send(wire.frame(wire.TICKETS, 7))
        self.assert_ended(old, wire.E_FRAME_VERSION)
        self.assertIn("ends: a frame that the agreed version of the protocol does not have",
                      self.immured.log())
        self.assertEqual(new.ask(wire.TICKETS).type, wire.TICKET_KEYS)
        self.assert_served(new, self.key)


class OldImmured:
    """An immured of today that says it speaks no more than the version before: it listens on `path`,
    and passes everything on to that on `true_path` but the highest version of HELLO. It keeps the
    types of the frames that it was sent."""

    def __init__(self, path, true_path):
        self.true_path, self.types, self.streams = true_path, set(), []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for each in (self.listener, *self.streams):
            each.close()

    def accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            client = wire.Client(stream, greet=False, timeout=None)
            true = wire.Client.connect(self.true_path, greet=False, timeout=None)
            self.streams += [client.socket, true.socket]
            for each in ((client, true, self.older), (true, client, lambda frame: frame.payload)):
                threading.Thread(target=self.carry, args=each, daemon=True).start()

    def older(self, frame):
        self.types.add(frame.type)
        if frame.type != wire.HELLO:
            return frame.payload
        magic, lowest, highest = struct.unpack("!IHH", frame.payload)
        return struct.pack("!IHH", magic, lowest, min(highest, OLD))

    @staticmethod
    def carry(source, sink, payload):
        try:
            while True:
                frame = source.receive()
                sink.send(wire.frame(frame.type, frame.id, payload(frame)))
        except (OSError, wire.Closed):
            pass
        for each in (source.socket, sink.socket):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class NewClient(harness.SystemTest):
    """immure-proxy, which wants session ticket keys, and an immured of the version before."""

    def check(self, signing):
        served = certificate("p-256")
        true_path = os.path.join(self.directory, "true.sock")
        path = os.path.join(self.directory, "old.sock")
        secret = os.path.join(self.directory, "secret")
        config = os.path.join(self.directory, "immured.conf")
        with open(secret, "wb") as file:
            file.write(bytes(range(32)))
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{true_path}"\nthreads = 1\nticket-secret-file = "{secret}"\n'
                       f'key k {{ file = "{served.key}" }}\n')
        immured = self.start_program("immured", "--config", config)
        harness.wait_until(lambda: " serves" in immured.log(), "immured to serve")
        old = self.own(OldImmured(path, true_path))
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([served], backend.address, keys=f'socket = "{path}"', signing=signing)
        for version in (clients.TLS12, clients.TLS13):
            with clients.connect(proxy.port, clients.context(version, trusted=served)) as connection:
                clients.echo_once(connection)
        self.assertIn("session tickets: the master's own keys, because immured gives none: "
                      "the protocol version of this immured does not have this request",
                      proxy.log())
        self.assertIn(wire.SIGN, old.types)
        self.assertNotIn(wire.TICKETS, old.types)
        self.assertIsNone(re.search("session of uid .* ends", immured.log()), immured.log())

    def test_async(self):
        self.check("async")

    def test_sync(self):
        self.check("sync")


if __name__ == "__main__":
    harness.main()

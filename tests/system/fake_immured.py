"""A fake immured: it lists the keys that the test gives it, signs junk, and can refuse or stay
silent."""

import os
import socket
import struct
import threading

import wire


class FakeImmured:
    """keys: [(name in bytes, SubjectPublicKeyInfo, [scheme, ...])]; figures: {number: value}."""

    def __init__(self, path, keys=(), figures=None, signature=b"junk", silent=False, refuse=None):
        self.keys, self.figures = list(keys), figures or {}
        self.signature, self.silent, self.refuse = signature, silent, refuse
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        os.unlink(self.path)

    def accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with wire.Client(stream, greet=False) as peer:
                try:
                    self.serve(peer)
                except (OSError, wire.Closed):
                    pass  # the client is gone

    def serve(self, peer):
        while True:
            request = peer.receive()
            if self.refuse is not None:
                peer.send(wire.frame(wire.ERROR, 0, struct.pack("!H", self.refuse) + b"no"))
                return
            if not self.silent:
                peer.send(self.answer(request))

    def answer(self, request):
        if request.type == wire.HELLO:
            return wire.frame(wire.WELCOME, 0, struct.pack("!IHHI", wire.MAGIC, wire.VERSION, 4096, 1))
        type, payload = {
            wire.LIST: (wire.KEYS, self.listing),
            wire.SIGN: (wire.SIGNED, lambda: struct.pack("!BQQ", 1, 0, 1000) + self.signature),
            wire.STATS: (wire.FIGURES, lambda: struct.pack("!H", len(self.figures)) + b"".join(
                struct.pack("!HQ", *each) for each in self.figures.items())),
            wire.PING: (wire.PONG, lambda: request.payload),
        }[request.type]
        return wire.frame(type, request.id, payload())

    def listing(self):
        rows = [wire.key_id(spki) + bytes([len(name)]) + name + struct.pack("!H", len(spki)) + spki
                + bytes([1, 2, 3, 8, len(schemes)]) + struct.pack(f"!{len(schemes)}H", *schemes)
                for name, spki, schemes in self.keys]
        return struct.pack("!IH", 0, len(rows)) + b"".join(rows)

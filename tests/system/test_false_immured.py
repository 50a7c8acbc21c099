"""
A lying immured between the worker and a real one, which changes the replies. The proxy's handshakes
fail in time, none succeeds with a wrong signature, the worker survives, and handshakes succeed
again when the lies end.
"""

import json
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

import backends
import clients
import harness
import wire
from certificates import certificate

TIMEOUT = 5 if harness.LONG else 2  # handshake-timeout, seconds
SLACK = 3 if harness.LONG else 6  # seconds that a loaded machine may take in addition


def raw(reply):
    return wire.frame(reply.type, reply.id, reply.payload)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def with_signature(change):
    """A fault: a SIGNED frame whose signature is changed."""
    return lambda reply: wire.frame(
        reply.type, reply.id, reply.payload[:17] + change(reply.payload[17:]))


def error(code, text=b""):
    return lambda reply: wire.frame(wire.ERROR, reply.id, struct.pack("!H", code) + text)


# What is sent in place of a SIGNED frame: bytes, or ... for nothing. These are valid frames with a
# wrong reply, which end the handshake:
REPLIES = {
    "a signature cut": with_signature(lambda signature: signature[:-1]),
    "a signature with a byte behind": with_signature(lambda signature: signature + b"\0"),
    "a signature of one byte": with_signature(lambda signature: signature[:1]),
    "the longest signature": with_signature(lambda signature: signature * 70),
    "a signature of zeros": with_signature(lambda signature: bytes(len(signature))),
    "the first bit": with_signature(lambda signature: flipped(signature, 0)),
    "the last bit": with_signature(lambda signature: flipped(signature, len(signature) - 1)),
    "an unknown error": error(9999, b"what?"),
    "the longest error": error(wire.E_SIGNING, b"\xff%s\n" * 64),
}
# These are protocol violations. The worker reconnects and asks again, until the handshake times
# out.
BREACHES = {
    "another id": lambda reply: wire.frame(reply.type, reply.id + 1, reply.payload),
    "the stream's id": lambda reply: wire.frame(reply.type, 0, reply.payload),
    "the largest id": lambda reply: wire.frame(reply.type, 2**64 - 1, reply.payload),
    "a length too short": lambda reply: wire.frame(
        reply.type, reply.id, reply.payload, length=len(reply.payload) - 1),
    "a length too long": lambda reply: wire.frame(
        reply.type, reply.id, reply.payload, length=len(reply.payload) + 1),
    "the longest length": lambda reply: wire.frame(
        reply.type, reply.id, reply.payload, length=0xFFFF),
    "no payload": lambda reply: wire.frame(reply.type, reply.id),
    "flags": lambda reply: wire.frame(reply.type, reply.id, reply.payload, flags=1),
    "another reply": lambda reply: wire.frame(wire.PONG, reply.id, b"pong"),
    "a list of keys": lambda reply: wire.frame(wire.KEYS, reply.id, bytes(6)),
    "figures": lambda reply: wire.frame(wire.FIGURES, reply.id, bytes(2)),
    "a premaster secret": lambda reply: wire.frame(wire.DECRYPTED, reply.id, bytes(65)),
    "a request": lambda reply: wire.frame(wire.SIGN, reply.id, bytes(100)),
    "a second greeting": lambda reply: wire.frame(
        wire.WELCOME, 0, struct.pack("!IHHI", wire.MAGIC, wire.VERSION, 64, 1)),
    "an unknown type": lambda reply: wire.frame(0x99, reply.id, reply.payload),
    "the end in a frame": lambda reply: raw(reply)[:20],
    "the end": lambda reply: b"",
    "junk": lambda reply: random.Random(reply.id).randbytes(4000),
    "silence": lambda reply: ...,
    "a signature too long": with_signature(lambda signature: bytes(4628)),
    "no error": error(0),
    "an error too long": error(wire.E_SIGNING, b"e" * 257),
}
ENDS = {"the end in a frame", "the end"}
ALL = {**REPLIES, **BREACHES}


class FalseImmured:
    """Listens on `path`, and forwards to the immured on `true_path`, or lies."""

    def __init__(self, path, true_path):
        self.true_path = true_path
        self.lies, self.told = [], 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def lie(self, *names):
        """Tells these lies in turn from now on; none means the truth."""
        self.lies, self.told = names, 0

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                true = wire.Client.connect(self.true_path, greet=False, timeout=None)
            except OSError:
                return
            for each in (self.requests, self.replies):
                threading.Thread(target=each, args=(client, true), daemon=True).start()

    @staticmethod
    def end(client, true):
        for each in (client, true.socket):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self, client, true):
        try:
            while data := client.recv(65536):
                true.send(data)
        except OSError:
            pass
        self.end(client, true)

    def replies(self, client, true):
        try:
            while True:
                reply = true.receive()
                lies = self.lies
                if reply.type != wire.SIGNED or not lies:
                    client.sendall(raw(reply))
                    continue
                name = lies[self.told % len(lies)]
                self.told += 1
                data = ALL[name](reply)
                if data is not ...:
                    client.sendall(data)
                if name in ENDS:
                    break
        except (OSError, wire.Closed):
            pass
        self.end(client, true)
        client.close()
        true.close()


class LyingImmured(harness.SystemTest):
    def start(self, **options):
        true_path = os.path.join(self.directory, "true.sock")
        config = os.path.join(self.directory, "immured.conf")
        self.certificate = certificate("p-256")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{true_path}"\nthreads = 1\nkey k {{ file = "{self.certificate.key}" }}\n')
        immured = self.start_program("immured", "--config", config)
        harness.wait_until(lambda: " serves" in immured.log(), "immured to serve")
        path = os.path.join(self.directory, "false.sock")
        self.immured = self.own(FalseImmured(path, true_path))
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([self.certificate], backend.address, workers=1,
                                      top=f"handshake-timeout = {TIMEOUT}s",
                                      keys=f'socket = "{path}"', **options)
        self.worker = self.proxy.worker()

    def try_once(self, version):
        """Returns how long a handshake took to fail; None if it succeeded. The client verifies
        everything but the name."""
        begin = time.monotonic()
        try:
            with clients.connect(self.proxy.port,
                                 clients.context(version, trusted=self.certificate)) as connection:
                clients.echo_once(connection)
            return None
        except (ssl.SSLError, OSError):
            return time.monotonic() - begin

    def assert_served(self):
        """Retries, because a loaded machine may need more time than a handshake has here."""
        for version in (clients.TLS12, clients.TLS13):
            harness.wait_until(lambda version=version: self.try_once(version) is None, "the truth")

    def assert_all_refused(self):
        """Two handshakes of each version at once, so that one's faulty reply meets the other's
        request."""
        results = []

        def attempt(version):
            results.append(self.try_once(version))

        attempts = [threading.Thread(target=attempt, args=(version,), daemon=True)
                    for version in (clients.TLS12, clients.TLS13) * 2]
        for each in attempts:
            each.start()
        for each in attempts:
            each.join(harness.LIMIT)
        self.assertEqual(len(results), len(attempts), "every handshake ends")
        self.assertNotIn(None, results)
        self.assertLess(max(results), TIMEOUT + SLACK)

    def run_lies(self, *lies):
        self.assert_served()
        for names in lies:
            with self.subTest(lies=names):
                self.immured.lie(*names)
                self.assert_all_refused()
                self.assertGreater(self.immured.told, 0)
                self.immured.lie()
                self.assert_served()
                self.assertEqual(self.proxy.worker(), self.worker, "the worker was not to be replaced")
        harness.wait_until(lambda: self.proxy.metric("immure_signatures_pending") == 0,
                           "no pending signature")

    def test_false_replies(self):
        self.start()
        self.run_lies(*([name] for name in REPLIES))
        self.assertIn('error: frontend "https": a handshake for ', self.proxy.log())
        self.assertIn(" failed by an internal error: ", self.proxy.log())

    def test_storm(self):
        """immure-storm checks signatures, unless it is told not to."""
        self.start()
        self.assert_served()
        self.immured.lie("the last bit")
        report = os.path.join(self.directory, "report.json")
        for version in ("1.2", "1.3"):
            for check, counted in ([], "failed"), (["--unchecked"], "full"):
                with self.subTest(tls=version, check=check):
                    subprocess.run([harness.program_path("immure-storm"), f"127.0.0.1:{self.proxy.port}",
                                    "--concurrency", "1", "--duration", "0.3", "--warmup", "0",
                                    "--tls", version, "--json", report, *check],
                                   stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.LIMIT)
                    with open(report, encoding="utf-8") as file:
                        summary = json.loads(file.readlines()[-1])
                    self.assertGreater(summary["started"], 0)
                    self.assertEqual(summary[counted], summary["started"], summary["failures"])

    def test_breaches(self):
        """Each breach takes the whole handshake timeout."""
        self.start()
        self.run_lies(list(BREACHES), list(reversed(BREACHES)), ["silence"],
                      *([name] for name in BREACHES if harness.LONG))

    def test_synchronous(self):
        """The event loop waits for each."""
        self.start(signing="sync")
        self.run_lies(["a signature cut"], ["the first bit"], ["an unknown error"],
                      ["no payload"], ["the end"], ["a length too short"], ["junk"], ["the end in a frame"])

    def test_synchronous_out_of_time(self):
        """The late reply for one handshake is not taken for the reply to the next."""
        self.start(signing="sync")
        for name in ("a length too long", "another id", "silence"):
            with self.subTest(lie=name):
                self.immured.lie(name)
                for version in (clients.TLS12, clients.TLS13):
                    self.assertIsNotNone(self.try_once(version))
                self.assertGreater(self.immured.told, 0)
                self.immured.lie()
                self.assert_served()


if __name__ == "__main__":
    harness.main()

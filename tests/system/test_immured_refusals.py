"""What immured refuses, each with its error and without harm to a second client."""

import contextlib
import os
import random
import socket
import struct
import time

import harness
import proc
import rfc_messages
import wire
from immured import ImmuredTest, Key, key_process, openssl

NOT_TLS = "not a TLS handshake signature: "


class Refusals(ImmuredTest):
    def setUp(self):
        super().setUp()
        self.rsa, self.ec = Key("rsa-2048"), Key("p-256")
        self.immured = self.start_immured(self.rsa, self.ec)
        self.second = self.connect()

    def tearDown(self):
        self.assert_served(self.second, self.ec)

    def test_messages_that_are_no_handshake_signature(self):
        client = self.connect()
        for message, text in (
            (b"pay 1000 to Mallory", "too short for randoms and ServerECDHParams"),
            (b"x" * 500, "ServerECDHParams do not name a curve"),
            (wire.tls13_message(b"TLS 1.3, delegated credentials\0".ljust(34, b"\0")),
             "context string is neither the server's nor the client's"),
            (wire.tls13_message(digest=b"d" * 33), "transcript hash is not of 32 or 48 bytes"),
            (wire.tls13_message(digest=b""), "transcript hash is not of 32 or 48 bytes"),
            (wire.tls12_message() + b"!", "ServerECDHParams are not as long as their group's"),
            (wire.tls12_message(23, b"\2" + b"p" * 64),
             "point of ServerECDHParams is not uncompressed"),
            (wire.tls12_message(23, b"\4" + b"p" * 64),
             "public value of ServerECDHParams is none of its group's"),
            (wire.tls12_message(29, bytes(32)),
             "public value of ServerECDHParams is none of its group's"),
        ):
            with self.subTest(message=message):
                for key in (self.rsa, self.ec):
                    reply = client.sign(key.id, key.tls13_scheme(), message)
                    self.assert_error(reply, wire.E_POLICY, NOT_TLS + text)
        self.assert_served(client, self.rsa)

    def test_handshakes_that_the_policy_excludes(self):
        client, source = self.connect(), random.Random(1)
        for message, text in (
            (wire.tls13_message(wire.CLIENT_CONTEXT), "the policy has no signature of a TLS 1.3 client"),
            (rfc_messages.client_transcript(source, 23, self.rsa.spki + self.ec.spki),
             "the policy has no signature of a TLS 1.2 client"),
            (wire.tls12_message(end=b"\xa5" * 8),
             "the policy has no signature of a TLS 1.2 server whose random lacks the sentinel of RFC 8446: "
             "a server without TLS 1.3 needs the policy tls12-server"),
            (wire.tls12_message(group=22), "ServerECDHParams name a group that is not signed for"),
            *((rfc_messages.server_key_exchange(source, group),
               "ServerECDHParams name a group that is signed for only with tls12-groups = all")
              for group in (25, 30)),
            (b"r" * 64 + b"\1\0" + b"p" * 256 + b"\0\1\2\1\0" + b"y" * 256,
             "finite-field Diffie-Hellman is not signed for: give the server suites with ECDHE only"),
        ):
            with self.subTest(text=text):
                for key in (self.rsa, self.ec):
                    self.assert_error(client.sign(key.id, key.tls13_scheme(), message), wire.E_POLICY, text)
        self.assert_served(client, self.rsa)

    def test_schemes(self):
        client = self.connect()
        tls12, tls13 = wire.tls12_message(), wire.tls13_message()
        for scheme in (*self.ec.schemes(), wire.ED25519, 0x0201, 0x0809, 0, 0xFFFF):
            self.assert_error(client.sign(self.rsa.id, scheme, tls12), wire.E_SCHEME)
        for scheme in (*self.rsa.schemes(), wire.ED25519, 0x0203, 0, 0xFFFF):
            self.assert_error(client.sign(self.ec.id, scheme, tls12), wire.E_SCHEME)
        for scheme in (wire.RSA_PKCS1_SHA256, wire.RSA_PKCS1_SHA384, wire.RSA_PKCS1_SHA512):
            self.assert_error(client.sign(self.rsa.id, scheme, tls13), wire.E_POLICY,
                              NOT_TLS + "TLS 1.3 has no PKCS #1 v1.5")
        for scheme in (wire.ECDSA_SHA384, wire.ECDSA_SHA512):
            self.assert_error(client.sign(self.ec.id, scheme, tls13), wire.E_POLICY,
                              NOT_TLS + "TLS 1.3 binds this scheme to another curve")

    def test_unknown_keys(self):
        client = self.connect()
        for key in (bytes(32), b"\xff" * 32, self.rsa.id[:-1] + bytes([self.rsa.id[-1] ^ 1])):
            self.assert_error(client.sign(key, wire.ECDSA_SHA256, wire.tls13_message()),
                              wire.E_UNKNOWN_KEY)

    def test_frames_of_every_wrong_length(self):
        shortest_sign, longest_sign = 39, 38 + 65000
        for type, right in ((wire.HELLO, {8}), (wire.LIST, {4}), (wire.CANCEL, {0}),
                            (wire.STATS, {0}), (wire.PING, range(65)),
                            (wire.SIGN, range(shortest_sign, longest_sign + 1)),
                            (wire.DECRYPT, range(39, 38 + 1024 + 1))):
            lengths = {*range(41), 63, 64, 65, 66, longest_sign - 1, longest_sign,
                       longest_sign + 1, 65524, 65535}
            for length in sorted(lengths):
                with self.subTest(type=type, length=length), self.connect() as client:
                    if type == wire.HELLO:
                        client = self.own(self.connect(greet=False))
                    try:
                        client.send(wire.frame(type, 0 if type == wire.HELLO else 7, b"z" * length))
                    except OSError:
                        pass  # it ended the stream before it had it all
                    if length not in right:
                        self.assert_ended(client, wire.E_FRAME_SIZE)
                    elif type == wire.HELLO:
                        self.assert_ended(client, wire.E_MAGIC)
                    elif type in (wire.SIGN, wire.DECRYPT):
                        self.assert_error(client.receive(), wire.E_UNKNOWN_KEY)
                    elif type == wire.LIST:  # it begins at key 0x7a7a7a7a
                        self.assert_ended(client, wire.E_MALFORMED)
                    else:
                        client.ping() if type == wire.CANCEL else client.receive()

    def test_frames_of_every_other_type(self):
        known = {wire.LIST, wire.SIGN, wire.CANCEL, wire.STATS, wire.PING, wire.DECRYPT,
                 wire.TICKETS}
        for type in range(256):
            with self.subTest(type=type), self.connect() as client:
                if type not in known:
                    client.send(wire.frame(type, 7, b"\0" * 8))
                    self.assert_ended(client, wire.E_FRAME_TYPE)
        for flags in (1, 0x80, 0xFF):
            with self.connect() as client:
                client.send(wire.frame(wire.PING, 7, flags=flags))
                self.assert_ended(client, wire.E_FRAME_TYPE)
        for type, payload in ((wire.PING, b""), (wire.STATS, b""), (wire.LIST, bytes(4))):
            with self.connect() as client:
                client.send(wire.frame(type, 0, payload))
                self.assert_ended(client, wire.E_MALFORMED)

    def test_greetings(self):
        for data, code in (
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", wire.E_MAGIC),
            (wire.frame(wire.PING, 1), wire.E_MAGIC),
            (wire.hello(magic=0), wire.E_MAGIC),
            (wire.hello(3, 9), wire.E_VERSION),
            (wire.hello(0, 0), wire.E_VERSION),
            (wire.hello(2, 1), wire.E_MALFORMED),
            (wire.hello() + wire.hello(), wire.E_FRAME_TYPE),
        ):
            with self.subTest(data=data), self.connect(greet=False) as client:
                client.send(data)
                self.assert_ended(client, code)
        with self.connect(greet=False) as client:
            client.send(wire.hello(0, 0xFFFF))
            self.assertEqual(struct.unpack("!IHHI", client.receive().payload)[:2],
                             (wire.MAGIC, wire.VERSION))

    def test_streams_cut_at_every_byte(self):
        stream = (wire.hello() + wire.frame(wire.LIST, 1, bytes(4)) + wire.frame(wire.PING, 2, b"p")
                  + wire.sign(3, self.ec.id, wire.ECDSA_SHA256, wire.tls13_message())
                  + wire.frame(wire.CANCEL, 3) + wire.frame(wire.STATS, 4))
        for cut in range(len(stream)):
            with self.connect(greet=False) as client:
                client.send(stream[:cut])
                client.socket.shutdown(socket.SHUT_WR)
        self.second.ping()
        with self.connect(greet=False) as client:
            for at in range(len(stream)):
                client.send(stream[at : at + 1])
            replies = {client.receive().id for _ in range(5)}
            self.assertEqual(replies, {0, 1, 2, 3, 4})
        harness.wait_until(lambda: self.second.stats()[3] == 1, "the cut sessions to be gone")

    def test_error_is_counted_and_logged(self):
        before = self.second.stats()[6]
        with self.connect() as client:
            client.send(wire.frame(0x55, 1))
            self.assert_ended(client, wire.E_FRAME_TYPE)
        self.assertEqual(self.second.stats()[6], before + 1)
        self.assertIn("session of uid", self.immured.log())


class KeyKinds(ImmuredTest):
    """A key is never used as one of another kind, or for more bytes than its kind allows."""

    SCHEMES = (0x0201, 0x0203, 0x0401, 0x0501, 0x0601, 0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, wire.ED25519, 0x0808,
               *range(0x0809, 0x080C), *range(0x0904, 0x0907))

    def test_every_scheme_with_every_other_kind(self):
        keys = [Key(kind) for kind in ("rsa-2048", "rsa-pss", "p-256", "p-384", "ed25519")]
        own = {"rsa-pss": [0x0809, 0x080A, 0x080B]}
        self.start_immured(*keys, policy="any")
        client = self.connect()
        for key in keys:
            schemes = own.get(key.kind) or key.schemes()
            for scheme in self.SCHEMES:
                with self.subTest(key=key.kind, scheme=hex(scheme)):
                    reply = client.sign(key.id, scheme, wire.tls13_message())
                    if scheme in schemes:
                        self.assertEqual(reply.type, wire.SIGNED)
                    else:
                        self.assert_error(reply, wire.E_SCHEME)
        for key in keys[:-1]:
            self.assertEqual(client.sign(key.id, (own.get(key.kind) or key.schemes())[0], b"m").type, wire.SIGNED)

    def test_decryption_with_every_other_kind(self):
        keys = [Key(kind) for kind in ("rsa-pss", "p-256", "ed25519")]
        rsa = Key("rsa-2048", more="decrypt = tls-rsa-key-exchange")
        self.start_immured(rsa, *keys)
        client = self.connect()
        for key in keys:
            for length in (1, 32, 64, 256, 1024):
                self.assert_error(client.decrypt(key.id, b"\2" * length), wire.E_POLICY)
        for length in (1, 48, 255, 257, 512, 1024):
            self.assert_error(client.decrypt(rsa.id, b"\2" * length), wire.E_POLICY,
                              "the ciphertext is not as long as the modulus")
        for version in (0, 0x02FF, 0x0304, 0x7F1C, 0xBC87, 0xFEFE, 0xFEFC, 0xFFFF):
            self.assert_error(client.decrypt(rsa.id, b"\2" * 256, version=version), wire.E_POLICY,
                              "the client version is of no TLS that has RSA key exchange")
        for version in (0x0300, 0x0301, 0x0302, 0x0303, 0xFEFF, 0xFEFD):
            self.assertEqual(len(client.decrypt(rsa.id, b"\2" * 256, version=version)), 48)
        self.assert_served(client, rsa)

    def test_the_longest_message(self):
        keys = [Key(kind) for kind in ("rsa-2048", "p-256", "ed25519")]
        self.start_immured(*keys, policy="any")
        for key in keys:
            with self.connect() as client:
                self.assertEqual(client.sign(key.id, key.schemes()[0], b"m" * 65000).type, wire.SIGNED)
                with contextlib.suppress(BrokenPipeError):  # the header suffices for the refusal
                    client.send(wire.sign(7, key.id, key.schemes()[0], b"m" * 65001))
                self.assert_ended(client, wire.E_FRAME_SIZE)
        with self.connect() as client:
            self.assert_served(client, keys[1])

    def test_rsa_above_8192_bits(self):
        """Of five primes, because two would take minutes."""
        path = os.path.join(self.directory, "large.key")
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:8448", "-pkeyopt",
                "rsa_keygen_primes:5", "-out", path)
        config = os.path.join(self.directory, "large.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'key large {{ file = "{path}" }}\n')
        program = self.start_program("immured", "--test", "--config", config)
        program.expected_status = 1
        self.assertEqual(program.wait(), 1)
        self.assertIn("RSA of 8448 bits: only 2048 to 8192 are taken", program.log())


class NeverReads(ImmuredTest):
    def flood(self, client, frame):
        """Sends until the peer stops reading; returns whether the stream was ended."""
        client.socket.settimeout(harness.LIMIT)
        try:
            for first in range(1, 10_000_000, 100):
                client.socket.sendall(b"".join(frame(id) for id in range(first, first + 100)))
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    def test_client_that_never_reads_is_ended(self):
        ec = Key("p-256")
        immured = self.start_immured(ec, top='stall-timeout = "500ms"')
        second = self.connect()
        floods = (lambda id: wire.frame(wire.PING, id, b"p" * 64),
                  lambda id: wire.frame(wire.LIST, id, bytes(4)),
                  lambda id: wire.frame(wire.STATS, id),
                  lambda id: wire.sign(id, ec.id, wire.ECDSA_SHA256, wire.tls13_message()))
        for frame in floods:
            with self.subTest(frame=frame(1)[:20]), self.connect() as client:
                self.assertTrue(self.flood(client, frame))
            self.assert_served(second, ec)
        log = immured.log()
        self.assertEqual(log.count("the peer does not read its replies"), len(floods), log)
        self.assertRegex(log, r"\d+ bytes of replies unread, \d+ requests in flight")
        self.assertLess(proc.resident(key_process(immured)), harness.scaled(64, 512) << 20)

    def test_slow_reader_is_served(self):
        ec = Key("p-256")
        self.start_immured(ec, top='stall-timeout = "4s"')
        client = self.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        count = 20000
        pings = memoryview(b"".join(wire.frame(wire.PING, id, b"p" * 64)
                                    for id in range(1, count + 1)))
        client.socket.setblocking(False)
        client.socket.settimeout(harness.LIMIT)
        sent, got = 0, 0
        while got < count:
            client.socket.setblocking(False)
            try:
                sent += client.socket.send(pings[sent:])
            except BlockingIOError:
                pass
            client.socket.settimeout(harness.LIMIT)
            if got % 5000 == 0:
                time.sleep(1.1)
            self.assertEqual(client.receive().type, wire.PONG)
            got += 1


class WrongSignatures(ImmuredTest):
    def test_a_false_rsa_signature_is_not_released(self):
        rsa, ec = Key("rsa-2048"), Key("p-256")
        immured = self.start_immured(rsa, ec, program="immured-test", top='backend = "corrupt"')
        client, second = self.connect(), self.connect()
        for scheme in rsa.schemes():
            reply = client.sign(rsa.id, scheme, wire.tls12_message())
            self.assert_error(reply, wire.E_SIGNING)
        self.assert_served(second, ec)
        self.assertEqual(second.stats()[13], len(rsa.schemes()))
        self.assertIn("failed or did not verify; it is withheld", immured.log())


class Waiting(ImmuredTest):
    """Where RSA takes 50 ms a batch, of at most 128."""

    def test_cheap_signatures_do_not_wait_for_rsa(self):
        rsa, ec = Key("rsa-2048"), Key("p-256", more="backend = openssl")
        self.start_immured(rsa, ec, program="immured-test", top='backend = "delay" queue-age = 1m')
        client = self.connect()
        message, count = wire.tls13_message(), 1000
        client.send(b"".join(wire.sign(id, rsa.id, wire.RSA_PSS_SHA256, message) for id in range(1, count + 1))
                    + wire.sign(count + 1, ec.id, wire.ECDSA_SHA256, message))
        order = [client.receive().id for _ in range(count + 1)]
        self.assertLess(order.index(count + 1), count // 2)

    def test_what_would_wait_for_too_long_is_busy_and_others_are_served(self):
        rsa = Key("rsa-2048")
        self.start_immured(rsa, program="immured-test",
                           top='backend = "delay" queue-age = 200ms')
        flood, second = self.connect(), self.connect()
        message = wire.tls13_message()
        count = 2000
        flood.send(b"".join(wire.sign(id, rsa.id, wire.RSA_PSS_SHA256, message)
                            for id in range(1, count + 1)))
        self.assertTrue(rsa.verifies(
            wire.RSA_PSS_SHA256, message,
            second.sign(rsa.id, wire.RSA_PSS_SHA256, message).signed[3]))
        replies = [flood.receive() for _ in range(count)]
        busy = [reply for reply in replies if reply.type == wire.ERROR]
        self.assertIn(len(busy), range(count // 2, count))
        for reply in busy:
            self.assert_error(reply, wire.E_BUSY)
        waited = sorted(reply.signed[1] for reply in replies if reply.type == wire.SIGNED)
        self.assertLess(waited[len(waited) // 2], 300_000_000)


class Bounds(ImmuredTest):
    """With a backend that takes 50 ms a batch."""

    def setUp(self):
        super().setUp()
        self.rsa, self.ec = Key("rsa-2048"), Key("p-256")
        self.immured = self.start_immured(self.rsa, self.ec, program="immured-test",
                                          top='backend = "delay" queue-age = 1m')

    def test_late_and_cancelled_requests_are_not_signed(self):
        client, second = self.connect(), self.connect()
        message = wire.tls13_message()
        client.send(wire.sign(1, self.rsa.id, wire.RSA_PSS_SHA256, message))
        harness.wait_until(lambda: second.stats()[7] == 1 and second.stats()[14] == 0, "the signer to be at it")
        before = range(1000, 1400)  # several batches
        client.send(b"".join(wire.sign(id, self.rsa.id, wire.RSA_PSS_SHA256, message) for id in before)
                    + wire.sign(2, self.rsa.id, wire.RSA_PSS_SHA256, message, time_left_us=1000)
                    + wire.sign(3, self.rsa.id, wire.RSA_PSS_SHA256, message)
                    + wire.sign(4, self.rsa.id, wire.RSA_PSS_SHA256, message, time_left_us=10**8)
                    + wire.frame(wire.CANCEL, 3) + wire.frame(wire.CANCEL, 99)
                    + wire.frame(wire.CANCEL, 1))
        replies = {reply.id: reply for reply in (client.receive() for _ in range(4 + len(before)))}
        self.assert_error(replies[2], wire.E_EXPIRED)
        self.assert_error(replies[3], wire.E_CANCELLED)
        for id in (1, 4):  # begun work is finished, cancelled or not
            self.assertTrue(self.rsa.verifies(wire.RSA_PSS_SHA256, message, replies[id].signed[3]))
        figures = client.stats()
        self.assertEqual((figures[11], figures[12]), (1, 1))

    def test_too_many_in_flight_are_busy(self):
        client, second = self.connect(), self.connect()
        message = wire.tls13_message()
        count = client.welcome[2] + 500
        client.send(b"".join(wire.sign(id, self.ec.id, wire.ECDSA_SHA256, message)
                             for id in range(1, count + 1)))
        second.ping()
        replies = [client.receive() for _ in range(count)]
        self.assertEqual({reply.id for reply in replies}, set(range(1, count + 1)))
        busy = [reply for reply in replies if reply.type == wire.ERROR]
        self.assertTrue(busy)
        for reply in busy:
            self.assert_error(reply, wire.E_BUSY, "too many requests of this client are in flight")
        self.assert_served(second, self.ec)

    def test_work_of_a_client_that_left_is_dropped(self):
        client, second = self.connect(), self.connect()
        message = wire.tls13_message()
        client.send(b"".join(wire.sign(id, self.rsa.id, wire.RSA_PSS_SHA256, message)
                             for id in range(1, 1001)))
        harness.wait_until(lambda: second.stats()[7] == 1000, "the requests to be taken")
        client.close()
        harness.wait_until(lambda: second.stats()[14] == 0, "an empty queue")
        self.assertGreater(second.stats()[12], 100)
        self.assert_served(second, self.rsa)


class Peers(ImmuredTest):
    ALLOWED, OTHER = 65531, 65532

    def reply_to(self, uid):
        """What a process with this uid receives after HELLO: a frame type and error code, or an
        errno."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                with wire.Client.connect(self.path, greet=False) as client:
                    try:
                        client.send(wire.hello())
                    except BrokenPipeError:
                        pass
                    reply = client.receive()
                    said = reply.error[0] if reply.type == wire.ERROR else 0
            except PermissionError:
                said = 255
            os.write(writing, bytes([said]))
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read()[0]

    @harness.needs_root("to be three users")
    def test_only_users_that_are_allowed(self):
        ec = Key("p-256")
        immured = self.start_immured(ec, top=f"allow-users = {{{self.ALLOWED}}}")
        self.assertEqual(self.reply_to(self.ALLOWED), 0)
        self.assertEqual(self.reply_to(self.OTHER), wire.E_PEER)
        self.assertIn(f'"peer_uid":{self.OTHER},', immured.log())
        client = self.connect()
        self.assert_served(client, ec)
        self.assertEqual(client.stats()[5], 1)

    @harness.needs_root("to be two users")
    def test_the_socket_is_closed_to_others(self):
        self.start_immured(Key("p-256"))
        self.assertEqual(self.reply_to(self.OTHER), 255)


if __name__ == "__main__":
    harness.main()

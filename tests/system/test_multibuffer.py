"""immured with signatures made eight at a time: by Intel's crypto_mb where processor and library
permit, and by a stand-in whose injected faults must not lead to wrong signatures."""

import contextlib
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import clients
import harness
import wire
from backends import Backend, echo
from certificates import certificate
from immured import ImmuredTest, Key, openssl

STAND_IN = os.path.join(harness.BIN, "../tests/support/libcrypto_mb_stand_in.so")
REASON = "backend multibuffer: "  # how the line begins that says why there is none
FIGURES = {"batches": 17, "filled": 18, "again": 19, "multibuffer": 21}  # in docs/protocol.md
LANES = 8
UNDER_WAY = 64
# SHA-256's DigestInfo up to the digest (RFC 8017, section 9.2, note 1)
PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class MultibufferTest(ImmuredTest):
    def figures(self, client):
        """The figures of STATS that are of interest here, by name."""
        numbers = client.stats()
        return {name: numbers[number] for name, number in FIGURES.items()}

    def sign_many(self, client, key, scheme, messages):
        """One request a message, all sent at once; the signatures in the messages' order."""
        ids = [client.next_id() for _ in messages]
        client.send(b"".join(wire.sign(id, key.id, scheme, message)
                             for id, message in zip(ids, messages)))
        replies = {}
        while len(replies) < len(ids):
            reply = client.receive()
            self.assertEqual(reply.type, wire.SIGNED, repr(reply))
            replies[reply.id] = reply.signed[3]
        return [replies[id] for id in ids]

    @staticmethod
    def messages(count):
        return [wire.tls13_message(digest=number.to_bytes(32, "big")) for number in range(count)]


class RealLanes(MultibufferTest):
    def start_or_skip(self, *keys):
        immured = self.start_immured(*keys)
        for line in immured.log().splitlines():
            if REASON in line and "known-answer" not in line:
                self.skipTest(line.split(REASON)[1])
        return immured

    def test_every_key_type(self):
        keys = [Key(kind) for kind in ("rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384",
                                       "p-521", "ed25519")]
        self.start_or_skip(*keys)
        client = self.connect()
        for key in keys:
            with self.subTest(key=key.kind):
                messages = self.messages(UNDER_WAY)
                signatures = self.sign_many(client, key, key.tls13_scheme(), messages)
                with ThreadPoolExecutor(4) as pool:
                    self.assertTrue(all(pool.map(key.verifies, [key.tls13_scheme()] * UNDER_WAY,
                                                 messages, signatures)))
        figures = self.figures(client)
        # libcrypto takes longer for one of P-384 than the lanes for eight
        self.assertGreaterEqual(figures["multibuffer"], UNDER_WAY)
        self.assertEqual(figures["multibuffer"], figures["filled"])
        self.assertLessEqual(figures["filled"], LANES * figures["batches"])
        self.assertEqual(figures["again"], 0)

    def test_two_clients_share_a_batch(self):
        key = Key("p-384")
        self.start_or_skip(key)
        with ThreadPoolExecutor(LANES) as pool, contextlib.ExitStack() as stack:
            connected = [stack.enter_context(self.connect()) for _ in range(LANES)]
            before = self.figures(connected[0])
            for each in pool.map(lambda client: self.sign_many(
                    client, key, wire.ECDSA_SHA384, self.messages(UNDER_WAY)), connected):
                self.assertEqual(len(each), UNDER_WAY)
            after = self.figures(connected[0])
        self.assertEqual(after["filled"] - before["filled"], LANES * UNDER_WAY)

    def test_handshakes_through_the_proxy(self):
        self.start_or_skip(Key("p-384"))
        backend = self.own(Backend(echo))
        proxy = self.start_proxy([certificate("p-384")], backend.address)
        with ThreadPoolExecutor(16) as pool:
            def handshake(_):
                with clients.connect(proxy.port, clients.context(clients.TLS13)) as tls:
                    return clients.echo_once(tls)
            self.assertEqual(len(list(pool.map(handshake, range(UNDER_WAY)))), UNDER_WAY)
        # immured's figures are asked for once a second
        harness.wait_until(lambda: proxy.status()["immured"]
                           .get("signatures_multibuffer_total", 0) >= UNDER_WAY,
                           "all signatures to be by multibuffer")
        self.assertEqual(proxy.status()["immured"]["signed_again_total"], 0)


class StandIn(MultibufferTest):
    """RSA, PKCS #1: there Python can verify many signatures quickly."""

    GOOD_CALLS = 60  # of the stand-in: more than the tests at the start make

    def setUp(self):
        super().setUp()
        self.key = Key("rsa-2048")
        text = openssl("rsa", "-in", self.key.file, "-noout", "-modulus").stdout.decode()
        self.modulus = int(text.split("=")[1], 16)

    def start_with(self, fault, lane, after):
        library = os.path.join(self.directory, "stand_in.so")
        shutil.copyfile(STAND_IN, library)
        with open(f"{library}.fault", "w", encoding="ascii") as file:
            file.write(f"{fault} {lane} {after}\n")
        return self.start_immured(self.key, top=f'multibuffer-library = "{library}"')

    def verifies(self, message, signature):
        size = (self.modulus.bit_length() + 7) // 8
        info = PREFIX + hashlib.sha256(message).digest()
        encoded = b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info
        opened = pow(int.from_bytes(signature, "big"), 65537, self.modulus)
        return len(signature) == size and opened.to_bytes(size, "big") == encoded

    def assert_all_good(self, client, rounds):
        for number in range(rounds):
            messages = [wire.tls12_message(randoms=bytes([0x42 + number, each]) * 28)
                        for each in range(UNDER_WAY)]
            signatures = self.sign_many(client, self.key, wire.RSA_PKCS1_SHA256, messages)
            for message, signature in zip(messages, signatures):
                self.assertTrue(self.verifies(message, signature))

    def test_faults_do_not_get_out(self):
        for fault in ("wrong", "wrong-half", "short", "nothing", "status", "stale", "neighbour",
                      "message", "key"):
            with self.subTest(fault=fault):
                immured = self.start_with(fault, 3, self.GOOD_CALLS)
                client = self.connect()
                self.assert_all_good(client, 12)
                figures = self.figures(client)
                self.assertGreater(figures["batches"], 0)
                self.assertGreater(figures["again"], 0)
                self.assertIn("made again by libcrypto", immured.log())
                client.close()
                self.assertEqual(immured.stop(), [])

    def test_without_faults_nothing_is_made_again(self):
        self.start_with("good", 0, 0)
        client = self.connect()
        self.assert_all_good(client, 4)
        figures = self.figures(client)
        self.assertGreater(figures["multibuffer"], 0)
        self.assertEqual(figures["again"], 0)

    def test_one_that_fails_its_tests_is_not_used(self):
        immured = self.start_with("wrong", 7, 0)
        self.assertIn(f"{REASON}RSA-2048 does not pass its known-answer test", immured.log())
        client = self.connect()
        self.assert_all_good(client, 1)
        self.assertEqual(self.figures(client)["multibuffer"], 0)

    def test_processor_without_lanes(self):
        immured = self.start_with("no-lanes", 0, 0)
        self.assertIn("the processor lacks AVX-512 IFMA", immured.log())
        self.assert_all_good(self.connect(), 1)


class NoLibrary(MultibufferTest):
    NOWHERE = 'multibuffer-library = "/nonexistent/libcrypto_mb.so.13"'

    def test_all_is_served_without_it(self):
        key = Key("p-384")
        immured = self.start_immured(key, top=self.NOWHERE)
        self.assertIn(f"{REASON}/nonexistent/libcrypto_mb.so.13", immured.log())
        self.assert_served(self.connect(), key)

    def test_immure_proxy_passes_the_path_on(self):
        backend = self.own(Backend(echo))
        proxy = self.start_proxy([certificate("p-384")], backend.address,
                                 keys="threads = 1\n    " + self.NOWHERE)
        with clients.connect(proxy.port, clients.context(clients.TLS13)) as tls:
            clients.echo_once(tls)
        self.assertIn(f"{REASON}/nonexistent/libcrypto_mb.so.13", proxy.log())

    def test_immure_proxy_passes_on_what_is_verified(self):
        for choice, said in ((self.NOWHERE, False), ("verify = not-ecdsa", True)):
            backend = self.own(Backend(echo))
            proxy = self.start_proxy([certificate("p-256")], backend.address,
                                     keys="threads = 1\n    " + choice)
            with clients.connect(proxy.port, clients.context(clients.TLS13)) as tls:
                clients.echo_once(tls)
            self.assertEqual("(verify = not-ecdsa)" in proxy.log(), said)

    def test_a_key_that_asks_for_it_is_refused(self):
        path = os.path.join(self.directory, "refused.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.directory}/socket"\n{self.NOWHERE}\n'
                       f'key "one" {{ file = "{Key("p-384").file}" backend = multibuffer }}\n')
        immured = self.start_program("immured", "--config", path)
        immured.expected_status = 1
        self.assertEqual(immured.wait(), 1)
        self.assertIn('key "one": the backend multibuffer does not serve such keys here',
                      immured.log())


if __name__ == "__main__":
    harness.main()

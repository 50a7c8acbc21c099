"""The times that immured tells its clients: of signatures coarse ones, of decryptions none."""

import struct

import harness
import immured
import wire
from immured import Key

STEP_NS = 50_000
ROUNDS = 20


class SignatureTimes(immured.ImmuredTest):
    def assert_coarse(self, *times):
        for time in times:
            self.assertEqual(time % STEP_NS, 0, times)

    def test_signatures_are_timed_coarsely(self):
        for backend in ("openssl", "auto"):
            with self.subTest(backend):
                keys = Key("p-256"), Key("rsa-2048")
                process = self.start_immured(*keys, top=f"backend = {backend}")
                client = self.connect()
                for key in keys:
                    for _ in range(ROUNDS):
                        reply = client.sign(key.id, key.tls13_scheme(), wire.tls13_message())
                        self.assert_coarse(*reply.signed[1:3])
                # One RSA signature takes longer than two steps on any machine: coarse is not nothing.
                self.assertGreaterEqual(reply.signed[2], 2 * STEP_NS)
                process.stop()

    def test_requests_that_wait_are_timed_coarsely(self):
        key = Key("rsa-2048")
        self.start_immured(key)
        client = self.connect()
        requests = [wire.sign(client.next_id(), key.id, key.tls13_scheme(), wire.tls13_message())
                    for _ in range(ROUNDS)]
        client.send(b"".join(requests))
        replies = [client.receive().signed for _ in requests]
        for reply in replies:
            self.assert_coarse(*reply[1:3])
        self.assertGreater(max(reply[1] for reply in replies), 0)

    def test_decryptions_are_not_timed(self):
        key = Key("rsa-2048", more="decrypt = tls-rsa-key-exchange")
        self.start_immured(key)
        client = self.connect()
        for _ in range(ROUNDS):
            reply = client.ask(wire.DECRYPT, key.id + struct.pack("!HI", 0x0303, 0) + b"\x01" * 256)
            self.assertEqual(reply.type, wire.DECRYPTED)
            self.assertEqual(struct.unpack_from("!QQ", reply.payload, 1), (0, 0))


if __name__ == "__main__":
    harness.main()

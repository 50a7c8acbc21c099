"""DECRYPT: TLS 1.2 with RSA key exchange, where a key's configuration allows it and where not."""

import os
import tempfile

import harness
import immured
import wire
from immured import Key, openssl

PREMASTER = b"\x03\x03" + bytes(range(46))


def encrypt(key, plain, padding="pkcs1"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plain")
        with open(path, "wb") as file:
            file.write(plain)
        return openssl("pkeyutl", "-encrypt", "-inkey", key.file, "-in", path,
                       "-pkeyopt", f"rsa_padding_mode:{padding}").stdout


class RsaKeyExchange(immured.ImmuredTest):
    def start(self, *keys, decrypt="tls-rsa-key-exchange"):
        """The first key may decrypt."""
        self.path = os.path.join(self.directory, "immured.sock")
        config = os.path.join(self.directory, "immured.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.path}"\nthreads = 1\n')
            for number, key in enumerate(keys):
                allowed = f"decrypt = {decrypt}" if number == 0 else ""
                file.write(f'key "key {number}" {{ file = "{key.file}" {allowed} }}\n')
        program = self.start_program("immured", "--config", config)
        harness.wait_until(lambda: "ready:" in program.log() or not program.running(),
                           "immured to be ready")
        return program

    def test_premaster_secrets_only(self):
        key = Key("rsa-2048")
        self.start(key)
        client = self.connect()
        good = encrypt(key, PREMASTER)
        self.assertEqual(client.decrypt(key.id, good), PREMASTER)
        for bad in (encrypt(key, PREMASTER[:-1]), encrypt(key, PREMASTER, "oaep"), bytes(256),
                    b"\xff" * 256, good[::-1]):
            first, second = (client.decrypt(key.id, bad) for _ in range(2))
            self.assertEqual((len(first), len(second)), (48, 48))
            self.assertNotEqual(first, second, "random each time")
        rolled_back = client.decrypt(key.id, good, version=0x0302)
        self.assertNotEqual(rolled_back, PREMASTER)
        self.assertEqual(len(rolled_back), 48)
        # It signs as well, in the same batches.
        self.assert_served(client, key)

    def test_off_by_default(self):
        allowed, other = Key("rsa-2048"), Key("rsa-2048", serial=2)
        self.start(allowed, other)
        client = self.connect()
        self.assert_error(client.decrypt(other.id, encrypt(other, PREMASTER)), wire.E_POLICY,
                          "the key's configuration does not allow decryption")
        self.assert_error(client.decrypt(allowed.id, bytes(255)), wire.E_POLICY,
                          "the ciphertext is not as long as the modulus")
        self.assert_error(client.decrypt(bytes(32), bytes(256)), wire.E_UNKNOWN_KEY)
        self.assertEqual(client.decrypt(allowed.id, encrypt(allowed, PREMASTER)), PREMASTER)

    def test_only_rsa_keys(self):
        program = self.start(Key("p-256"))
        program.expected_status = 1
        self.assertEqual(program.wait(), 1)
        self.assertIn("only RSA keys can decrypt", program.log())

    def test_a_word_that_is_none(self):
        program = self.start(Key("rsa-2048"), decrypt="yes")
        program.expected_status = 1
        self.assertEqual(program.wait(), 1)
        self.assertIn('decrypt: "yes" was given, expected: no or tls-rsa-key-exchange',
                      program.log())


if __name__ == "__main__":
    harness.main()

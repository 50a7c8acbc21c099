"""DECRYPT: TLS 1.2 with RSA key exchange, where a key's configuration allows it and where not."""

import os
import tempfile

import harness
import immured
import wire
from immured import Key, openssl

ALLOWED = "decrypt = tls-rsa-key-exchange"
PREMASTER = b"\x03\x03" + bytes(range(46))


def encrypt(key, plain, padding="pkcs1"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plain")
        with open(path, "wb") as file:
            file.write(plain)
        return openssl("pkeyutl", "-encrypt", "-inkey", key.file, "-in", path,
                       "-pkeyopt", f"rsa_padding_mode:{padding}").stdout


class RsaKeyExchange(immured.ImmuredTest):
    def refused_configuration(self, kind, decrypt):
        """The log of an immured that does not start with such a key."""
        path = os.path.join(self.directory, "immured.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.directory}/immured.sock"\n'
                       f'key "key" {{ file = "{Key(kind).file}" decrypt = {decrypt} }}\n')
        program = self.start_program("immured", "--config", path)
        program.expected_status = 1
        self.assertEqual(program.wait(), 1)
        return program.log()

    def test_premaster_secrets_only(self):
        key = Key("rsa-2048", more=ALLOWED)
        process = self.start_immured(key)
        client = self.connect()
        good = encrypt(key, PREMASTER)
        self.assertEqual(client.decrypt(key.id, good), PREMASTER)
        bad = (encrypt(key, PREMASTER[:-1]), encrypt(key, PREMASTER, "oaep"), encrypt(key, b"x" * 48),
               bytes(256), b"\xff" * 256, good[::-1])
        answers = [client.decrypt(key.id, each) for each in bad]
        for answer in answers:
            self.assertEqual((len(answer), answer[:2]), (48, b"\x03\x03"))
        self.assertEqual(len(set(answers)), len(bad))
        rolled_back = client.decrypt(key.id, good, version=0x0302)
        self.assertEqual((len(rolled_back), rolled_back[:2]), (48, b"\x03\x02"))
        self.assertNotEqual(rolled_back[2:], PREMASTER[2:])
        # It signs as well, in the same batches.
        self.assert_served(client, key)
        # What a question is answered with depends on it and on the key: now, and in the next process.
        for _ in range(2):
            self.assertEqual([client.decrypt(key.id, each) for each in bad], answers)
            self.assertEqual(client.decrypt(key.id, good, version=0x0302), rolled_back)
            self.assertEqual(client.decrypt(key.id, good), PREMASTER)
            process.stop()
            process = self.start_immured(key)
            client = self.connect()

    def test_off_by_default(self):
        allowed, other = Key("rsa-2048", more=ALLOWED), Key("rsa-2048", serial=2)
        self.start_immured(allowed, other)
        client = self.connect()
        self.assert_error(client.decrypt(other.id, encrypt(other, PREMASTER)), wire.E_POLICY,
                          "the key's configuration does not allow decryption")
        self.assert_error(client.decrypt(allowed.id, bytes(255)), wire.E_POLICY,
                          "the ciphertext is not as long as the modulus")
        self.assert_error(client.decrypt(bytes(32), bytes(256)), wire.E_UNKNOWN_KEY)
        self.assertEqual(client.decrypt(allowed.id, encrypt(allowed, PREMASTER)), PREMASTER)

    def test_only_rsa_keys(self):
        self.assertIn("only RSA keys can decrypt",
                      self.refused_configuration("p-256", "tls-rsa-key-exchange"))

    def test_a_word_that_is_none(self):
        self.assertIn("decrypt must be no or tls-rsa-key-exchange, not 'yes'",
                      self.refused_configuration("rsa-2048", "yes"))


if __name__ == "__main__":
    harness.main()

"""immured alone under test, and keys whose signatures the openssl program verifies."""

import base64
import os
import subprocess
import tempfile

import harness
import proc
import wire
from certificates import certificate

DIGESTS = {4: "sha256", 5: "sha384", 6: "sha512"}


def openssl(*arguments, check=True):
    return subprocess.run(["openssl", *arguments], check=check, stdin=subprocess.DEVNULL,
                          capture_output=True)


class Key:
    """A private key in a file, with its section for immured.conf and its id for clients."""

    def __init__(self, kind, serial=1, more=""):
        self.kind = kind
        self.more = more  # of its section in immured.conf
        self.file = certificate(kind, serial=serial).key
        self.spki = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER").stdout
        self.id = wire.key_id(self.spki)

    def schemes(self):
        if self.kind.startswith("rsa"):
            return [wire.RSA_PKCS1_SHA256, wire.RSA_PKCS1_SHA384, wire.RSA_PKCS1_SHA512,
                    wire.RSA_PSS_SHA256, wire.RSA_PSS_SHA384, wire.RSA_PSS_SHA512]
        if self.kind.startswith("p-"):
            return [wire.ECDSA_SHA256, wire.ECDSA_SHA384, wire.ECDSA_SHA512]
        return [wire.ED25519]

    def tls13_scheme(self):
        return {"p-256": wire.ECDSA_SHA256, "p-384": wire.ECDSA_SHA384,
                "p-521": wire.ECDSA_SHA512, "ed25519": wire.ED25519}.get(
                    self.kind, wire.RSA_PSS_SHA256)

    def verifies(self, scheme, message, signature):
        """Whether `openssl` accepts the signature."""
        with tempfile.TemporaryDirectory() as folder:
            paths = {}
            for name, data in (("spki", self.spki), ("message", message), ("signature", signature)):
                paths[name] = os.path.join(folder, name)
                with open(paths[name], "wb") as file:
                    file.write(data)
            pem = os.path.join(folder, "pem")
            openssl("pkey", "-pubin", "-inform", "DER", "-in", paths["spki"], "-out", pem)
            if scheme == wire.ED25519:
                command = ["pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin",
                           "-in", paths["message"], "-sigfile", paths["signature"]]
            else:
                pss = scheme >> 8 == 8
                digest = DIGESTS[scheme & 0xFF if pss else scheme >> 8]
                padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
                command = ["dgst", f"-{digest}", "-verify", pem, *(padding if pss else []),
                           "-signature", paths["signature"], paths["message"]]
            return openssl(*command, check=False).returncode == 0


# PKCS #8 of a P-256 key without its public half, up to the private number (RFC 5915, RFC 5208).
P256_DER = bytes.fromhex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420")


def write_p256_keys(directory, count):
    """Writes `count` new P-256 keys to PEM files, quickly. Returns their sections of an
    immured.conf."""
    sections = []
    for number in range(count):
        path = os.path.join(directory, f"{number}.pem")
        body = base64.b64encode(P256_DER + b"\1" + os.urandom(31)).decode()
        with open(path, "w", encoding="ascii") as file:
            file.write(f"-----BEGIN PRIVATE KEY-----\n{body[:64]}\n{body[64:]}\n-----END PRIVATE KEY-----\n")
        sections.append(f'key "key {number}" {{ file = "{path}" }}\n')
    return sections


def key_process(immured):
    """The process id of the (newest) key process of a supervisor, 0 while there is none."""
    return proc.newest(proc.children(immured.pid))


class ImmuredTest(harness.SystemTest):
    """start_immured() gives a running one; connect() a client of it."""

    def start_immured(self, *keys, program="immured", top="", policy="tls-server", listen=True,
                      threads=1):
        self.path = os.path.join(self.directory, "immured.sock")
        config = os.path.join(self.directory, "immured.conf")
        with open(config, "w", encoding="utf-8") as file:
            if listen:
                file.write(f'listen = "{self.path}"\n')
            file.write(f"threads = {threads}\n{top}\n")
            for number, key in enumerate(keys):
                file.write(f'key "key {number}" {{ file = "{key.file}" policy = {policy} {key.more} }}\n')
        self.config = config
        immured = self.start_program(program, "--config", config)
        harness.wait_until(lambda: " serves" in immured.log() or not immured.running(),
                           "immured to serve")
        self.assertTrue(immured.running(), immured.log())
        return immured

    def connect(self, **options):
        return self.own(wire.Client.connect(self.path, timeout=harness.LIMIT, **options))

    def assert_error(self, reply, code, text=None):
        self.assertEqual(reply.type, wire.ERROR, repr(reply))
        self.assertEqual(reply.error[0], code, repr(reply))
        if text is not None:
            self.assertEqual(reply.error[1], text)

    def assert_ended(self, client, code):
        """The stream ended with this error, which has id 0."""
        reply = client.receive()
        while reply.id != 0 or reply.type == wire.WELCOME:
            reply = client.receive()
        self.assert_error(reply, code)
        self.assertRaises(wire.Closed, client.receive)

    def assert_served(self, client, key):
        message = wire.tls13_message()
        reply = client.sign(key.id, key.tls13_scheme(), message)
        self.assertTrue(key.verifies(key.tls13_scheme(), message, reply.signed[3]))

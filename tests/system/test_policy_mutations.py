"""
Every valid message of a TLS handshake is signed. Mutated ones are signed only if a parser written
from the RFCs accepts them, and messages of other protocols never.
"""

import os
import random
import struct
import subprocess
import tempfile
import unittest

import harness
import rfc_messages
import wire
from certificates import certificate
from immured import ImmuredTest, Key, openssl
from rfc_messages import NO_CURVE, P256, P384, P521, SCHEMES, SERVERS, TLS_CLIENT

POLICIES = (*SERVERS, TLS_CLIENT)
MUTATIONS = harness.endured(150_000, 1_000_000)
AT_ONCE = 10_000
SEED = 6


def judged(asked):
    """What policy-check says to [(policy, scheme, curve, message, every_group)]: [True if it would be
    signed]."""
    data = b"".join(struct.pack("!BBHBH", policy, every_group, scheme, curve, len(message)) + message
                    for policy, scheme, curve, message, every_group in asked)
    run = subprocess.run([harness.program_path("policy-check")], input=data, capture_output=True,
                         check=True, timeout=harness.LIMIT)
    return [byte == 1 for byte in run.stdout]


def mutated(source, messages):
    """One of the messages, changed a little where it has structure, or as a whole."""
    message = bytearray(source.choice(messages))
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        at = source.randrange(len(message) + 1)
        how = source.randrange(8)
        if how == 0 and at < len(message):
            message[at] ^= 1 << source.randrange(8)
        elif how == 1 and at < len(message):
            message[at] = source.randrange(256)
        elif how == 2:
            del message[at:at + source.randrange(1, 5)]
        elif how == 3:
            message[at:at] = source.randbytes(source.randrange(1, 5))
        elif how == 4:
            del message[at:]
        elif how == 5:
            other = source.choice(messages)
            message[at:] = other[at:]
        elif how == 6 and len(message) > 68:
            message[64:68] = struct.pack("!BHB", source.choice((1, 2, 3, 3, 3)), source.randrange(20, 33),
                                         source.choice((32, 56, 65, 97, 133, source.randrange(256))))
        else:
            message += source.randbytes(source.choice((1, 16, 32, 48)))
    return bytes(message[:0xFFFF])


def to_be_signed(path):
    """The first element of a signed SEQUENCE in a file: of a certificate, or of a request for one."""
    with open(path, "rb") as file:
        data = file.read()
    header = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
    with tempfile.NamedTemporaryFile() as part:
        openssl("asn1parse", "-inform", "DER", "-in", path, "-strparse", str(header), "-noout",
                "-out", part.name)
        return part.read()


def ssh_string(data):
    return struct.pack("!I", len(data)) + data


class Policy(unittest.TestCase):
    """Of one program, policy-check."""

    def test_valid_messages(self):
        source = random.Random(SEED)
        asked, expected = [], []
        for _ in range(50):
            for policies, message in rfc_messages.handshake_messages(source):
                for policy in POLICIES:
                    asked.append((policy, 0x0403, P256, message, True))
                    expected.append(policy in policies)
        self.assertEqual(judged(asked), expected)
        self.assertEqual([rfc_messages.is_handshake_message(*each) for each in asked], expected)

    def test_schemes_and_curves(self):
        asked = [(policy, scheme, curve, message, every_group)
                 for _, message in rfc_messages.handshake_messages(random.Random(SEED))
                 for policy in POLICIES for scheme in SCHEMES for curve in (NO_CURVE, P256, P384, P521)
                 for every_group in (False, True)]
        self.assertEqual(judged(asked), [rfc_messages.is_handshake_message(*each) for each in asked])

    def test_mutations(self):
        source = random.Random(SEED)
        signed = 0
        for _ in range(MUTATIONS // AT_ONCE):
            messages = [message for _, message in rfc_messages.handshake_messages(source)]
            asked = []
            for _ in range(AT_ONCE):
                scheme, curve = source.choice(SCHEMES), source.choice((NO_CURVE, P256, P384, P521))
                asked.append((source.choice(POLICIES), scheme, curve, mutated(source, messages),
                              source.choice((False, True))))
            for each, said in zip(asked, judged(asked), strict=True):
                if said != rfc_messages.is_handshake_message(*each):
                    self.fail(f"policy {each[0]}, scheme {each[1]:#x}, curve {each[2]}: "
                              f"{'signed' if said else 'refused'}: {each[3].hex()}")
                signed += said
        self.assertGreater(signed, MUTATIONS // 100, "some of them are still valid")
        self.assertLess(signed, MUTATIONS // 2, "most are not")


def ssh_messages():
    return {
        "SSH user authentication": (  # RFC 4252, section 7
            ssh_string(b"i" * 32) + b"\x32" + ssh_string(b"root") + ssh_string(b"ssh-connection")
            + ssh_string(b"publickey") + b"\1" + ssh_string(b"ecdsa-sha2-nistp256") + ssh_string(b"k" * 104)),
        "SSH key exchange hash": b"h" * 32,  # RFC 4253, section 8
        "SSH signature of a file": (
            b"SSHSIG" + ssh_string(b"file") + ssh_string(b"") + ssh_string(b"sha512") + ssh_string(b"d" * 64)),
        "SSH certificate": (
            ssh_string(b"ecdsa-sha2-nistp256-cert-v01@openssh.com") + ssh_string(b"n" * 32)
            + ssh_string(b"nistp256") + ssh_string(b"\4" + b"p" * 64) + bytes(12) + ssh_string(b"root")),
    }


def tls_messages():
    """Signed in TLS, or near it, but not by a server or client that a policy is for."""
    spaces = b" " * 64
    return {
        "delegated credential": spaces + b"TLS, server delegated credentials\0" + b"c" * 48,  # RFC 9345
        "exported authenticator": spaces + b"Exported Authenticator\0" + b"h" * 43,  # RFC 9261
        "finite-field Diffie-Hellman": (  # RFC 5246, section 7.4.3
            b"r" * 64 + (b"\1\0" + b"p" * 256) + b"\0\1\2" + (b"\1\0" + b"y" * 256)),
        "an explicit curve": b"r" * 64 + b"\1\x20" + b"p" * 100,  # RFC 4492, section 5.4
    }


class OtherProtocols(ImmuredTest):
    """What keys sign in other protocols, sent to immured itself, under all policies."""

    def path_of(self, name):
        return os.path.join(self.directory, name)

    def made_by_openssl(self):
        own, crt, csr = certificate("p-256"), self.path_of("crt"), self.path_of("csr")
        request, response, index = (self.path_of(name) for name in ("request", "response", "index"))
        openssl("x509", "-in", own.chain, "-outform", "DER", "-out", crt)
        openssl("req", "-new", "-key", own.key, "-subj", "/CN=evil.example", "-outform", "DER", "-out", csr)
        openssl("ocsp", "-issuer", own.chain, "-cert", own.chain, "-no_nonce", "-reqout", request)
        with open(index, "w", encoding="utf-8") as out:
            out.write("V\t351231235959Z\t\t01\tunknown\t/CN=localhost\n")
        openssl("ocsp", "-index", index, "-CA", own.chain, "-rsigner", own.chain, "-rkey", own.key,
                "-reqin", request, "-respout", response)
        found = {"certificate": to_be_signed(crt), "certificate request": to_be_signed(csr)}
        for what, path in (("OCSP request", request), ("OCSP response", response)):
            with open(path, "rb") as file:
                found[what] = file.read()
        return found

    def messages(self):
        found = {**self.made_by_openssl(), **ssh_messages(), **tls_messages()}
        found["JWT"] = (b"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9."
                        b"eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoiYWRtaW4iLCJleHAiOjQxMDI0NDQ4MDB9")
        found["certificate behind spaces"] = b" " * 64 + found["certificate"]
        for digest in (48, 64):
            found[f"digest of {digest} bytes"] = b"\x5a" * digest
        return found

    def test_none_is_signed(self):
        messages = self.messages()
        for policy in ("tls-server", "tls13-server", "tls12-server", "tls-client"):
            keys = [Key("p-256"), Key("rsa-2048"), Key("ed25519")]
            immured = self.start_immured(*keys, policy=policy)
            client = self.connect()
            for what, message in messages.items():
                for key in keys:
                    for scheme in key.schemes():
                        with self.subTest(policy=policy, what=what, scheme=hex(scheme)):
                            self.assert_error(client.sign(key.id, scheme, message), wire.E_POLICY)
            client.close()
            self.assertEqual(immured.stop(), [])
            self.programs.remove(immured)


if __name__ == "__main__":
    harness.main()

"""
Builds structures of other protocols from the bytes that a TLS handshake leaves free, form by form.
What can be built would be validly signed elsewhere, so immured must refuse it.
"""

import collections
import random
import struct
import subprocess
import tempfile
import unittest

import harness
import rfc_messages
import structures
import wire
from immured import ImmuredTest, Key
from rfc_messages import GROUPS, SENTINEL, TLS12_SERVER, TLS13_SERVER, TLS_CLIENT, TLS_SERVER
from structures import STRUCTURES, Signer, size_of

SEED = 13
SCHEMES = {"p-256": (wire.ECDSA_SHA256, rfc_messages.P256), "ed25519": (wire.ED25519, rfc_messages.NO_CURVE),
           "rsa-2048": (wire.RSA_PKCS1_SHA256, rfc_messages.NO_CURVE)}
TLS13_SCHEMES = {**SCHEMES, "rsa-2048": (wire.RSA_PSS_SHA256, rfc_messages.NO_CURVE)}
SIGNERS = (("p-256", "localhost"), ("p-256", "a"), ("ed25519", "a"), ("rsa-2048", "a"))  # short names leave room
REFUSED, SIGNED, ALARM = range(3)

# fixed: {place: byte}. group: the group whose public value ends the message, if it must be valid.
# From `derived` on, nobody can choose the bytes.
Form = collections.namedtuple("Form", "name size fixed group derived policy schemes")


def fixed_at(at, data):
    return dict(enumerate(data, at))


def ecdh_form(name, number, policy, end=b"", checked=True):
    group = GROUPS[number]
    size = 68 + group.value_size
    fixed = {**fixed_at(64 - len(end), end), **fixed_at(64, struct.pack("!BHB", 3, number, group.value_size))}
    curve = hasattr(group, "size")
    if curve:
        fixed[68] = 4
    return Form(f"{name}, group {number}", size, fixed, group if checked else None,
                size - group.size if curve and checked else size, policy, SCHEMES)


def tls13_form(who, size, policy):
    start = b" " * 64 + rfc_messages.CONTEXTS[who] + b"\0"
    return Form(f"TLS 1.3 {who}, hash of {size}", len(start) + size, fixed_at(0, start), None, len(start) + size,
                policy, TLS13_SCHEMES)


FORMS = [*(tls13_form("server", size, TLS13_SERVER) for size in (32, 48)),
         *(tls13_form("client", size, TLS_CLIENT) for size in (32, 48)),
         *(ecdh_form("TLS 1.2 server", number, TLS_SERVER, SENTINEL) for number in GROUPS),
         *(ecdh_form("TLS 1.2 server without sentinel", number, TLS12_SERVER) for number in GROUPS)]
# Forms that were signed formerly: without sentinel, with any public value.
OLD_FORMS = [ecdh_form("TLS 1.2 server, neither sentinel nor point", number, TLS_SERVER, checked=False)
             for number in GROUPS]


def judged(asked):
    """What policy-check says to [(policy, scheme, curve, message)], with all groups."""
    data = b"".join(struct.pack("!BBHBH", policy, 1, scheme, curve, len(message)) + message
                    for policy, scheme, curve, message in asked)
    return list(subprocess.run([harness.program_path("policy-check")], input=data, capture_output=True, check=True,
                               timeout=harness.LIMIT).stdout)


def place(parts):
    """[(where it begins, bytes or (hole, size))]"""
    at, found = 0, []
    for part in parts:
        found.append((at, part))
        at += len(part) if isinstance(part, bytes) else part[1]
    return found


def misses(form, parts):
    """How many of the derived bytes the structure fixes; None: it fixes one that the form fixes otherwise."""
    count = 0
    for at, part in place(parts):
        if isinstance(part, bytes):
            for where, byte in enumerate(part, at):
                if form.fixed.get(where, byte) != byte:
                    return None
            count += max(0, at + len(part) - max(at, form.derived))
        elif part[0].allowed is not None:
            inside = range(at, at + part[1])
            if any(where in inside and byte not in part[0].allowed for where, byte in form.fixed.items()):
                return None
            count += max(0, at + part[1] - max(at, form.derived))
    return count


def layouts(form, tree, names):
    """All ways to size the holes so that the structure is as long as the form; at most two of the
    optional ones are used. [(what it misses, parts)], best first."""
    found = []
    last = form.size - 1
    for first in names:
        for second in (None, *names[names.index(first) + 1:]):
            for size in range(form.size):
                sizes = {first: size}
                if second is None:
                    found += fitting(form, tree, sizes)
                    continue
                sizes[second] = 0
                room = form.size - size_of(tree.parts(sizes))
                if room < 0:
                    break
                for more in range(max(0, room - 4), min(room, last) + 1):
                    found += fitting(form, tree, {first: size, second: more})
    return sorted(found, key=lambda each: each[0])


def fitting(form, tree, sizes):
    parts = tree.parts(sizes)
    if size_of(parts) != form.size:
        return []
    if any(not part[0].least <= part[1] <= part[0].most for part in parts if not isinstance(part, bytes)):
        return []
    missed = misses(form, parts)
    return [] if missed is None else [(missed, parts)]


def filled(source, form, parts, derive=True):
    """A message of this layout: the holes have random bytes, then what the form says. None: no public value
    comes out."""
    free = bytearray()
    holes = set()
    for at, part in place(parts):
        if isinstance(part, bytes):
            free += part
        else:
            allowed = sorted(part[0].allowed or range(1, 256))
            free += bytes(source.choice(allowed) for _ in range(part[1]))
            holes |= set(range(at, at + part[1]))
    for where, byte in form.fixed.items():
        free[where] = byte
    group = form.group
    if group is None:
        return bytes(free)
    if not hasattr(group, "size"):
        if form.size - 1 in holes:
            free[-1] &= 0x3F  # below the prime
        return bytes(free) if group.is_value(bytes(free[68:])) else None
    if group.size == 66 and 69 in holes:
        free[69] = 0
    if not derive:
        return bytes(free)
    points = group.points(int.from_bytes(free[69:69 + group.size], "big"))
    return bytes(free[:68]) + points[0] if points else None


def made(source, form, structure, signer):
    """(a message of the form that is such a structure, or None; the fewest bytes of grinding)"""
    found = layouts(form, structure.tree(signer), structure.holes)
    least = found[0][0] if found else None
    for missed, parts in found[:20]:
        if missed > 0:
            break
        for _ in range(8):
            message = filled(source, form, parts)
            if message is not None and structure.is_valid(signer, message):
                return message, 0
    return None, least


class Constructions(unittest.TestCase):
    """Of one program, policy-check."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.signers = [Signer(cls.folder, kind, name) for kind, name in SIGNERS]

    def setUp(self):
        self.source = random.Random(SEED)

    def tried(self, forms):
        """Yields (form, structure, signer, message or None, the fewest bytes of grinding)."""
        for form in forms:
            for structure in STRUCTURES:
                for signer in self.signers:
                    if signer.kind in structure.kinds:
                        yield form, structure, signer, *made(self.source, form, structure, signer)

    def assert_none_is_signed(self, constructed):
        """No policy signs it, although each form is signed with other bytes in the same places."""
        policies = (TLS_SERVER, TLS13_SERVER, TLS12_SERVER, TLS_CLIENT)
        asked = [(policy, *form.schemes[signer.kind], message)
                 for form, _, signer, message in constructed for policy in policies]
        self.assertNotIn(SIGNED, judged(asked))

    def report(self, title, tries, constructed):
        by_structure = collections.Counter(structure.what for _, structure, _, _ in constructed)
        print(f"{title}: {len({each[0].name for each in tries})} forms, {len(STRUCTURES)} structures, {len(tries)} "
              f"tries; built: {len(constructed)}; signed: 0\n  "
              + ", ".join(f"{what} {count}" for what, count in sorted(by_structure.items())), flush=True)

    def test_verifiers_take_what_is_built(self):
        """Without a form: each structure by itself is what its verifier takes, of every kind of key."""
        for structure in STRUCTURES:
            for signer in self.signers:
                if signer.kind not in structure.kinds:
                    continue
                tree = structure.tree(signer)
                for name in (None, *structure.holes):
                    with self.subTest(structure=structure.what, kind=signer.kind, hole=name):
                        parts = tree.parts({} if name is None else {name: 32})
                        form = Form("", size_of(parts), {}, None, size_of(parts), None, None)
                        message = filled(self.source, form, parts)
                        self.assertTrue(structure.is_valid(signer, message), message.hex())

    def test_forms_are_signed(self):
        """The forms are signed with random bytes where nothing is fixed, so refusals below are due
        to the structures."""
        for form in FORMS:
            for kind, asked in form.schemes.items():
                with self.subTest(form=form.name, kind=kind):
                    message = None
                    while message is None:
                        hole = structures.Hole("all")
                        message = filled(self.source, form, [(hole, form.size)])
                    self.assertEqual(judged([(form.policy, *asked, message)]), [SIGNED])

    def test_accepted_forms(self):
        tries = list(self.tried(FORMS))
        constructed = [(form, structure, signer, message)
                       for form, structure, signer, message, _ in tries if message is not None]
        self.assert_none_is_signed(constructed)
        self.report("forms of today", tries, constructed)
        asked = [(form.policy, *form.schemes[signer.kind], message) for form, _, signer, message in constructed]
        self.assertEqual(set(judged(asked)), {ALARM}, "each has a form, and is refused for its marks")
        self.assertGreater(len(constructed), 30, "the sentinel alone is not enough")

    def test_forms_of_before(self):
        """Neither sentinel nor a point on its curve: what is built has a verifier that takes it."""
        tries = list(self.tried(OLD_FORMS))
        constructed = [(form, structure, signer, message)
                       for form, structure, signer, message, _ in tries if message is not None]
        self.assert_none_is_signed(constructed)
        self.report("forms of before", tries, constructed)
        for form in OLD_FORMS:
            built = {structure.what for each, structure, _, _ in constructed if each is form}
            self.assertTrue({"CSR", "CRL", "DNSSEC RRSIG"} <= built, (form.name, built))
        for number in (24, 25):
            built = {structure.what for form, structure, _, _ in constructed if form.name.endswith(f"group {number}")}
            self.assertIn("TBSCertificate without a name", built)

    def test_what_grinding_would_give(self):
        """Where some bytes of y would have to be found by brute force: as if they had been
        found."""
        asked, count = [], collections.Counter()
        for form in FORMS:
            if form.group is None or form.derived == form.size:
                continue
            for structure in STRUCTURES:
                signer = self.signers[2]  # Ed25519, whose key is the shortest
                found = layouts(form, structure.tree(signer), structure.holes) if "ed25519" in structure.kinds else []
                if not found or not 0 < found[0][0] <= 8:
                    continue
                message = filled(self.source, form, found[0][1], derive=False)
                asked.append((form.policy, *form.schemes[signer.kind], message))
                count[f"{form.name}: {structure.what}, 2^{8 * found[0][0]}"] += 1
        if asked:
            self.assertNotIn(SIGNED, judged(asked))
        print("by grinding, none signed:\n  " + "\n  ".join(sorted(count)), flush=True)


class ClientTranscripts(unittest.TestCase):
    """The form of a TLS 1.2 client: long, with free bytes from its sixth on."""

    def assert_alarm(self, message, what):
        scheme, curve = SCHEMES["ed25519"]
        self.assertTrue(rfc_messages.is_client_transcript(scheme, message), f"a transcript: {what}")
        self.assertEqual(judged([(TLS_CLIENT, scheme, curve, message)]), [ALARM], what)

    def test_an_ike_message_in_the_randoms(self):
        message = bytearray(rfc_messages.client_transcript(random.Random(SEED), 29))
        message[8:16] = bytes(8)  # SPI of the responder
        message[16:28] = b"\x2b\x20\x22\x08\0\0\0\0" + struct.pack("!I", len(message) - 48)
        message[28:30] = b"\x21\0"  # a vendor's payload
        self.assert_alarm(bytes(message), "IKEv2")

    def test_a_record_of_dns_in_the_client_hello(self):
        """Type 256 is URI, algorithm 15 Ed25519: the first four bytes of a ClientHello of 0x0f02 bytes."""
        whole = rfc_messages.client_transcript(random.Random(SEED), 29)
        hello, rest = 0x0F02, whole[4 + int.from_bytes(whole[1:4], "big"):]
        body = bytearray(4 + hello)
        body[:18] = b"\1\0" + struct.pack("!H", hello) + b"\3\3tt" + b"eeeeiiiikk"
        body[18:22] = b"\1a\0" + b"\x20"  # the zone, and the length of the owner's first label
        body[22:54] = b"n" * 32
        body[38] = 0  # no session id
        suites = 28  # they reach over what a record has before its data
        body[39:41] = struct.pack("!H", suites)
        body[54:67] = b"\1a\0" + b"\1\0\0\1\3\3tt" + struct.pack("!H", len(body) + len(rest) - 67)
        end = 41 + suites
        body[end:end + 4] = b"\1\0" + struct.pack("!H", len(body) - end - 4)
        body[end + 4:end + 8] = b"\xff\xff" + struct.pack("!H", len(body) - end - 8)
        self.assert_alarm(bytes(body) + rest, "RRSIG")

    def test_an_openpgp_trailer_in_the_public_value(self):
        message = bytearray(rfc_messages.client_transcript(random.Random(SEED), 29))
        trailer = b"\4\0\x13\x08\0\6\5\2tttt\4\xff\0\0\0\x0c"
        message[-len(trailer):] = trailer
        self.assert_alarm(bytes(message), "OpenPGP")


class Certificates(ImmuredTest):
    """A certificate for another name and key, given to immured as a TLS 1.2 handshake of secp521r1: the five
    bytes of its ServerECDHParams lie in an OCTET STRING in the AlgorithmIdentifier."""

    def tbs_certificate(self, signer):
        form = next(form for form in OLD_FORMS if form.name.endswith("group 25"))
        structure = structures.Certificate()
        for _, parts in layouts(form, structure.tree(signer), ("parameters", "subject-id")):
            message = filled(random.Random(SEED), form, parts)
            if structure.is_valid(signer, message):
                return message
        return None

    def test_a_certificate_in_a_key_exchange(self):
        signer = Signer(self.directory, "p-256", "a")
        key = Key("p-256")
        key.file, key.spki, key.id = signer.key, signer.spki, wire.key_id(signer.spki)
        message = self.tbs_certificate(signer)
        self.assertEqual(message[64:69], b"\3\0\x19\x85\4")
        for policy in ("tls-server", "tls13-server", "tls12-server", "tls-client"):
            immured = self.start_immured(key, policy=f"{policy} tls12-groups = all")
            client = self.connect()
            self.assert_error(client.sign(key.id, wire.ECDSA_SHA256, message), wire.E_POLICY)
            self.assertIn('"audit":"alarm"', immured.log())
            client.close()
            self.assertEqual(immured.stop(), [])
            self.programs.remove(immured)
        immured = self.start_immured(key, policy="any")
        signature = self.connect().sign(key.id, wire.ECDSA_SHA256, message).signed[3]
        algorithm = structures.children(message)[2]
        path = signer.file("any.crt", structures.signed(message, algorithm, signature))
        self.assertTrue(structures.said("OK", "verify", "-no_check_time", "-CAfile", signer.chain, path))


if __name__ == "__main__":
    harness.main()

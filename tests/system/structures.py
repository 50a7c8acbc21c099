"""
Structures that keys sign outside of TLS, as trees with holes: places for any number of bytes that
the maker may choose. Each has a verifier: the openssl program, ssh-keygen, or a parser written from
the RFC.
"""

import base64
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile

import harness
from immured import openssl


class Hole:
    """Bytes that the maker may choose; `allowed` restricts their values."""

    def __init__(self, name, least=0, most=1 << 16, allowed=None):
        self.name, self.least, self.most, self.allowed = name, least, most, allowed
        self.is_static = False

    def parts(self, sizes):
        return [(self, sizes.get(self.name, self.least))]


class Fixed:
    def __init__(self, data):
        self.data, self.is_static = data, True

    def parts(self, _):
        return [self.data]


def node(each):
    return Fixed(each) if isinstance(each, bytes) else each


class Many:
    def __init__(self, *inner):
        self.inner = [node(each) for each in inner]
        self.is_static = all(each.is_static for each in self.inner)
        self.made = None

    def parts(self, sizes):
        if not self.is_static:
            return self.make(sizes)
        if self.made is None:
            self.made = [b"".join(self.make({}))]
        return self.made

    def make(self, sizes):
        return [part for each in self.inner for part in each.parts(sizes)]


class Der(Many):
    """X.690: an element, with the length of its content."""

    def __init__(self, tag, *inner):
        super().__init__(*inner)
        self.tag = tag

    def make(self, sizes):
        inner = super().make(sizes)
        return [self.head(size_of(inner))] + inner

    def head(self, length):
        if length < 0x80:
            return bytes([self.tag, length])
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        return bytes([self.tag, 0x80 | len(octets)]) + octets


class LongTag(Der):
    """X.690, section 8.1.2.4: an element whose tag has more octets than it needs, as openssl reads it."""

    def head(self, length):
        return bytes([self.tag | 0x1F, 0x80, self.tag & 0x1F]) + super().head(length)[1:]


class LongLength(Der):
    """X.690, section 8.1.3.5: an element whose length has more octets than it needs."""

    def __init__(self, tag, *inner, octets=9):
        super().__init__(tag, *inner)
        self.octets = octets

    def head(self, length):
        return bytes([self.tag, 0x80 | self.octets]) + length.to_bytes(self.octets, "big")


class Counted(Many):
    """Content after a length of `size` bytes, which also counts `more`."""

    def __init__(self, size, *inner, more=0):
        super().__init__(*inner)
        self.size, self.more = size, more

    def make(self, sizes):
        inner = super().make(sizes)
        return [(size_of(inner) + self.more).to_bytes(self.size, "big")] + inner


class If(Many):
    """Present only if one of these holes is used."""

    def __init__(self, names, *inner, otherwise=()):
        super().__init__(*inner)
        self.names, self.otherwise = names, Many(*otherwise)
        self.is_static = False

    def make(self, sizes):
        if any(name in sizes for name in self.names):
            return super().make(sizes)
        return self.otherwise.parts(sizes)


def size_of(parts):
    return sum(len(part) if isinstance(part, bytes) else part[1] for part in parts)


def oid(dotted):
    first, second, *rest = (int(each) for each in dotted.split("."))
    data = bytearray([40 * first + second])
    for number in rest:
        octets = [number & 0x7F]
        while number := number >> 7:
            octets.append(0x80 | number & 0x7F)
        data += bytes(reversed(octets))
    return Der(0x06, bytes(data))


def der(tree):
    return b"".join(tree.parts({}))


ALGORITHMS = {  # of a key: what it signs with, and of a signature
    "p-256": oid("1.2.840.10045.4.3.2"),
    "ed25519": oid("1.3.101.112"),
    "rsa-2048": Many(oid("1.2.840.113549.1.1.11"), Der(0x05)),
}
SHA1, SHA256 = oid("1.3.14.3.2.26"), oid("2.16.840.1.101.3.4.2.1")


class Signer:
    """A key with a self-signed certificate, as made by `req -x509`."""

    def __init__(self, folder, kind, name):
        self.kind, self.name, self.folder = kind, name, folder
        self.key, self.chain = (os.path.join(folder, f"{kind}-{name}.{end}") for end in ("key", "crt"))
        new = {"p-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ed25519": ["ed25519"],
               "rsa-2048": ["rsa:2048"]}[kind]
        openssl("req", "-x509", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-newkey", *new,
                "-keyout", self.key, "-out", self.chain)
        self.spki = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER").stdout
        self.algorithm = ALGORITHMS[kind]

    def subject(self):
        return Der(0x30, Der(0x31, Der(0x30, oid("2.5.4.3"), Der(0x0C, self.name.encode()))))

    def sign(self, message):
        with tempfile.NamedTemporaryFile() as file:
            file.write(message)
            file.flush()
            if self.kind == "ed25519":
                return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", file.name).stdout
            return openssl("dgst", "-sha256", "-sign", self.key, file.name).stdout

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path


def signed(message, algorithm, signature):
    """SEQUENCE { what is signed, AlgorithmIdentifier, BIT STRING }"""
    return der(Der(0x30, message, algorithm, Der(0x03, b"\0", signature)))


def children(data):
    """The elements in an element."""
    def element(at):
        at += 1
        if data[at - 1] & 0x1F == 0x1F:
            while data[at] & 0x80:
                at += 1
            at += 1
        length, start = data[at], at + 1
        if length >= 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[at + 1:start], "big")
        return start, start + length
    at, end = element(0)
    found = []
    while at < end:
        _, stop = element(at)
        found.append(data[at:stop])
        at = stop
    return found


def said(text, *arguments):
    done = openssl(*arguments, check=False)
    output = (done.stdout + done.stderr).decode(errors="replace")
    return done.returncode == 0 and text in output


NOT_BEFORE, NOT_AFTER = Der(0x17, b"250101000000Z"), Der(0x17, b"491231235959Z")
ATTACKERS_KEY = Der(0x30, Der(0x30, oid("1.3.101.112")), Der(0x03, b"\0", bytes(range(32))))
UNKNOWN = oid("1.2.3")  # an attribute or extension that no program knows


def with_parameters(signer):
    """The signature's AlgorithmIdentifier, with a hole."""
    number = signer.algorithm.inner[0] if signer.kind == "rsa-2048" else signer.algorithm
    return Der(0x30, If(("parameters",), number, Der(0x04, Hole("parameters")), otherwise=(signer.algorithm,)))


class Structure:
    """`tree(signer)` with its holes; `holes`: their names, in their order; `is_valid(signer, message)`:
    whether a verifier takes the message with the signature of that key."""

    kinds = ("p-256", "ed25519", "rsa-2048")


class Certificate(Structure):
    """TBSCertificate of RFC 5280, section 4.1, of another key for another name."""

    what = "TBSCertificate"
    holes = ("serial", "parameters", "subject", "issuer-id", "subject-id", "extension")
    alternative = (Der(0x30, Der(0x30, oid("2.5.29.17"), Der(0x04, Der(0x30, Der(0x82, b"a.example"))))),)

    def tree(self, signer):
        extensions = Der(0xA3, Der(0x30, *(each.inner[0] for each in self.alternative), If(
            ("extension",), Der(0x30, UNKNOWN, Der(0x04, Hole("extension"))))))
        identifiers = Many(If(("issuer-id",), Der(0x81, b"\0", Hole("issuer-id"))),
                           If(("subject-id",), Der(0x82, b"\0", Hole("subject-id"))))
        has_more = self.alternative or ("issuer-id", "subject-id", "extension")
        version = Der(0xA0, Der(0x02, b"\2"))
        return Der(
            0x30,
            version if self.alternative else If(has_more, version),
            Der(0x02, b"\1", Hole("serial")),
            with_parameters(signer),
            signer.subject(), Der(0x30, NOT_BEFORE, NOT_AFTER),
            If(("subject",), Der(0x30, Der(0x31, Der(0x30, oid("2.5.4.3"), Der(0x14, Hole("subject"))))),
               otherwise=(Der(0x30),)),
            ATTACKERS_KEY, identifiers, extensions if self.alternative else If(("extension",), extensions))

    def is_valid(self, signer, message):
        algorithm = children(message)[2 if message[children_start(message)] == 0xA0 else 1]
        path = signer.file("made.crt", signed(message, algorithm, signer.sign(message)))
        return said("OK", "verify", "-partial_chain", "-no_check_time", "-CAfile", signer.chain, path)


def children_start(data):
    return 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)


class BareCertificate(Certificate):
    what = "TBSCertificate without a name"
    alternative = ()


class Request(Structure):
    """CertificationRequestInfo of RFC 2986: of the key that signs, for any name."""

    what = "CSR"
    holes = ("subject", "attribute")

    def tree(self, signer):
        return Der(
            0x30, Der(0x02, b"\0"),
            If(("subject",), Der(0x30, Der(0x31, Der(0x30, oid("2.5.4.3"), Der(0x14, Hole("subject"))))),
               otherwise=(Der(0x30),)),
            signer.spki,
            Der(0xA0, If(("attribute",), Der(0x30, UNKNOWN, Der(0x31, Der(0x04, Hole("attribute")))))))

    def is_valid(self, signer, message):
        path = signer.file("made.csr", signed(message, Der(0x30, signer.algorithm), signer.sign(message)))
        return said("verify OK", "req", "-inform", "DER", "-verify", "-noout", "-in", path)


class Revocations(Structure):
    """TBSCertList of RFC 5280, section 5.1."""

    what = "CRL"
    holes = ("parameters", "revoked", "extension")
    element = Der

    def tree(self, signer):
        return self.element(
            0x30, If(("extension",), Der(0x02, b"\1")),
            with_parameters(signer),
            signer.subject(), NOT_BEFORE, NOT_AFTER,
            If(("revoked",), Der(0x30, Der(0x30, Der(0x02, b"\1", Hole("revoked")), NOT_BEFORE))),
            If(("extension",), Der(0xA0, Der(0x30, Der(0x30, UNKNOWN, Der(0x04, Hole("extension")))))))

    def is_valid(self, signer, message):
        algorithm = next(each for each in children(message) if each[0] == 0x30)  # a version may be before it
        path = signer.file("made.crl", signed(message, algorithm, signer.sign(message)))
        return said("verify OK", "crl", "-inform", "DER", "-noout", "-CAfile", signer.chain, "-in", path)


class RevocationsWithLongLength(Revocations):
    what = "CRL with a length of nine octets"
    element = LongLength


class RevocationsWithLongTag(Revocations):
    what = "CRL with a tag of three octets"
    element = LongTag


class RevocationsWithLongIdentifiers(Structure):
    """Of Ed25519's own and of names' attributes, which are short."""

    what = "CRL with lengths of two octets in its OBJECT IDENTIFIERs"
    kinds = ("ed25519",)
    holes = ("revoked",)

    def tree(self, signer):
        common_name, ed25519 = (LongLength(0x06, data, octets=1) for data in (b"\x55\4\3", b"\x2b\x65\x70"))
        return Der(
            0x30, Der(0x30, ed25519),
            Der(0x30, Der(0x31, Der(0x30, common_name, Der(0x0C, signer.name.encode())))), NOT_BEFORE,
            If(("revoked",), Der(0x30, Der(0x30, Der(0x02, b"\1", Hole("revoked")), NOT_BEFORE))))

    is_valid = Revocations.is_valid


class OcspResponse(Structure):
    """ResponseData of RFC 6960, section 4.2.1: the signer's certificate is good."""

    what = "OCSP response"
    holes = ("parameters", "single-extension", "extension")

    def tree(self, signer):
        names = [hashlib.sha1(data).digest() for data in (der(signer.subject()), public_bits(signer.spki))]
        when = Der(0x18, b"20250101000000Z")
        def extension(name, tag):
            return If((name,), Der(tag, Der(0x30, Der(0x30, UNKNOWN, Der(0x04, Hole(name))))))
        return Der(
            0x30, Der(0xA2, Der(0x04, names[1])), when,
            Der(0x30, Der(
                0x30,
                Der(0x30, Der(0x30, SHA1, If(("parameters",), Der(0x04, Hole("parameters")))),
                    Der(0x04, names[0]), Der(0x04, names[1]), Der(0x02, b"\1")),
                Der(0x80), when, extension("single-extension", 0xA1))),
            extension("extension", 0xA1))

    def is_valid(self, signer, message):
        basic = signed(message, Der(0x30, signer.algorithm), signer.sign(message))
        response = der(Der(0x30, Der(0x0A, b"\0"), Der(0xA0, Der(
            0x30, oid("1.3.6.1.5.5.7.48.1.1"), Der(0x04, basic)))))
        return said("Response verify OK", "ocsp", "-respin", signer.file("made.ocsp", response),
                    "-verify_other", signer.chain, "-VAfile", signer.chain, "-issuer", signer.chain, "-serial", "1",
                    "-no_nonce", "-validity_period", "999999999")


def public_bits(spki):
    """The BIT STRING of a SubjectPublicKeyInfo without the number of unused bits."""
    bits = children(spki)[1]
    return bits[children_start(bits) + 1:]


class SignedAttributes(Structure):
    """SignedAttributes of RFC 5652, section 5.3, of a text."""

    what = "CMS signed attributes"
    kinds = ("p-256", "rsa-2048")  # OpenSSL 3.0 has no Ed25519 there
    holes = ("before", "between", "behind")
    text = b"pay 1000 to Mallory"

    def tree(self, signer):
        del signer
        def attribute(name):
            return If((name,), Der(0x30, UNKNOWN, Der(0x31, Der(0x04, Hole(name)))))
        return Der(
            0x31, attribute("before"),
            Der(0x30, oid("1.2.840.113549.1.9.3"), Der(0x31, oid("1.2.840.113549.1.7.1"))),
            attribute("between"),
            Der(0x30, oid("1.2.840.113549.1.9.4"), Der(0x31, Der(0x04, hashlib.sha256(self.text).digest()))),
            attribute("behind"))

    def is_valid(self, signer, message):
        certificate = openssl("x509", "-in", signer.chain, "-outform", "DER").stdout
        body = children(certificate)[0]
        serial = children(body)[1]
        info = Der(
            0x30, Der(0x02, b"\1"), Der(0x30, signer.subject(), serial), Der(0x30, SHA256),
            b"\xa0" + message[1:], Der(0x30, signer.algorithm), Der(0x04, signer.sign(message)))
        data = der(Der(0x30, oid("1.2.840.113549.1.7.2"), Der(0xA0, Der(
            0x30, Der(0x02, b"\1"), Der(0x31, Der(0x30, SHA256)), Der(
                0x30, oid("1.2.840.113549.1.7.1"), Der(0xA0, Der(0x04, self.text))),
            Der(0xA0, certificate), Der(0x31, info)))))
        return said("successful", "cms", "-verify", "-noverify", "-inform", "DER", "-in",
                    signer.file("made.cms", data), "-out", os.devnull)


def string(*inner):
    """RFC 4251, section 5."""
    return Counted(4, *inner)


def ssh_key(signer):
    bits = public_bits(signer.spki)
    if signer.kind == "ed25519":
        return [b"ssh-ed25519"], [bits]
    if signer.kind == "p-256":
        return [b"ecdsa-sha2-nistp256"], [b"nistp256", bits]
    modulus, exponent = children(bits)
    return [b"rsa-sha2-256"], [children_of(exponent), children_of(modulus)]


def children_of(element):
    return element[children_start(element):]


class SshLogin(Structure):
    """RFC 4252, section 7."""

    what = "SSH user authentication"
    holes = ("session", "user", "service")

    def tree(self, signer):
        (algorithm,), parts = ssh_key(signer)
        blob_type = b"ssh-rsa" if signer.kind == "rsa-2048" else algorithm
        return Many(
            string(Hole("session", 20, 64)), b"\x32", string(Hole("user", 1)), string(b"ssh-connection"),
            string(b"publickey"), b"\1", string(algorithm),
            string(string(blob_type), *(string(part) for part in parts)))

    def is_valid(self, signer, message):
        del signer
        fields = Reader(message)
        session = fields.counted(4)
        return (len(session) in range(20, 65) and fields.take(1) == b"\x32" and fields.counted(4) != b""
                and fields.counted(4) == b"ssh-connection" and fields.counted(4) == b"publickey")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def counted(self, size):
        return self.take(self.number(size))

    def done(self):
        return self.at == len(self.data)


class SshHost(Structure):
    """RFC 4253, section 8: the exchange hash, of a hash of at most 64 bytes."""

    what = "SSH host signature"
    holes = ("hash",)

    def tree(self, signer):
        del signer
        return Hole("hash", 20, 64)

    def is_valid(self, signer, message):
        del signer
        return len(message) in (20, 32, 48, 64)


class SshFile(Structure):
    """PROTOCOL.sshsig of OpenSSH; it makes the part that is reserved empty."""

    what = "SSH signature of a file"
    holes = ("namespace", "reserved")
    text = b"pay 1000 to Mallory"

    def tree(self, signer):
        del signer
        return Many(b"SSHSIG", string(Hole("namespace", 1)), string(Hole("reserved")), string(b"sha256"),
                    string(hashlib.sha256(self.text).digest()))

    def is_valid(self, signer, message):
        fields = Reader(message[6:])
        namespace, reserved = fields.counted(4), fields.counted(4)
        if reserved or not shutil.which("ssh-keygen") or b"\0" in namespace or signer.kind != "ed25519":
            return (message[:6] == b"SSHSIG" and fields.counted(4) == b"sha256"
                    and fields.counted(4) == hashlib.sha256(self.text).digest() and fields.done())
        (algorithm,), parts = ssh_key(signer)
        blob = der(Many(string(algorithm), *(string(part) for part in parts)))
        data = der(Many(b"SSHSIG", struct.pack("!I", 1), string(blob), string(namespace), string(), string(b"sha256"),
                        string(string(algorithm), string(signer.sign(message)))))
        text = base64.encodebytes(data).decode()
        path = signer.file("made.sshsig", f"-----BEGIN SSH SIGNATURE-----\n{text}-----END SSH SIGNATURE-----\n".encode())
        done = subprocess.run(["ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", path], input=self.text,
                              capture_output=True, check=False, timeout=harness.LIMIT)
        return done.returncode == 0


class Ike(Structure):
    """RFC 7296, section 2.15: IKE_SA_INIT whole, the other's nonce, and a MAC of who one is. With
    X25519, one proposal, and payloads of vendors, which nobody reads."""

    what = "IKEv2 AUTH"
    holes = ("first-vendor", "last-vendor", "mac")

    def tree(self, signer):
        del signer
        transforms = Many(*(Many(b"\3\0\0\x08", struct.pack("!BBH", kind, 0, number))
                            for kind, number in ((2, 5), (3, 12))), b"\0\0\0\x08\4\0\0\x1f")
        proposal = Many(b"\0\0", Counted(2, b"\1\1\0\4\3\0\0\x0c\1\0\0\x14\x80\x0e\1\0", transforms, more=4))
        def payload(following, *inner):
            return Many(bytes([following, 0]), Counted(2, *inner, more=4))
        payloads = Many(
            If(("first-vendor",), payload(33, Hole("first-vendor"))), payload(34, proposal),
            payload(40, b"\0\x1f\0\0", bytes(range(32))),
            If(("last-vendor",), payload(43, bytes(16)), payload(0, Hole("last-vendor")),
               otherwise=(payload(0, bytes(16)),)))
        first = If(("first-vendor",), b"\x2b", otherwise=(b"\x21",))
        header = Many(b"i" * 8, bytes(8), first, b"\x20\x22\x08", bytes(4))
        return Many(header, Counted(4, payloads, more=28), b"n" * 16, Hole("mac", 16, 64))

    def is_valid(self, signer, message):
        del signer
        following, fields = message[16], Reader(message)
        fields.take(28)
        while following:
            following = fields.take(2)[0]
            fields.take(fields.number(2) - 4)
        return message[17:24] == b"\x20\x22\x08\0\0\0\0" and fields.at == int.from_bytes(message[24:28], "big")


BASE64URL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Jws(Structure):
    """RFC 7515, section 5.1."""

    what = "JWS"
    holes = ("header", "payload")

    def tree(self, signer):
        del signer
        start = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"').rstrip(b"=")
        return Many(start, Hole("header", allowed=BASE64URL), b".", Hole("payload", allowed=BASE64URL))

    def is_valid(self, signer, message):
        del signer
        return message.count(b".") == 1 and set(message) - set(b".") <= BASE64URL


class UnencodedJws(Structure):
    """RFC 7797, section 3: of any bytes. The algorithm is in the header that is not protected."""

    what = "JWS of an unencoded payload"
    holes = ("key-id", "payload")

    def tree(self, signer):
        del signer
        begin = base64.urlsafe_b64encode(b'{"b64":false,"crit":["b64"]')
        return Many(begin, If(("key-id",), b"LCJraWQiOiI", Hole("key-id", 4, allowed=BASE64URL), b"In0",
                              otherwise=(b"fQ",)), b".", Hole("payload"))

    def is_valid(self, signer, message):
        del signer
        text = message.partition(b".")[0].decode()
        return '"b64":false' in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")


class Rrsig(Structure):
    """RFC 4034, section 3.1.8.1: of a TXT record of a zone."""

    what = "DNSSEC RRSIG"
    holes = ("label", "text")
    algorithms = {"p-256": 13, "ed25519": 15, "rsa-2048": 8}

    def tree(self, signer):
        zone = b"\1a\0"
        owner = Many(If(("label",), Counted(1, Hole("label", 1, 63))), zone)
        labels = If(("label",), b"\2", otherwise=(b"\1",))
        return Many(
            b"\0\x10", bytes([self.algorithms[signer.kind]]), labels, b"\0\0\x0e\x10", b"eeeeiiiitt", zone,
            owner, b"\0\x10\0\1\0\0\x0e\x10", Counted(2, Counted(1, Hole("text", 0, 255))))

    def is_valid(self, signer, message):
        fields = Reader(message)
        kind, algorithm, labels, ttl = fields.number(2), fields.number(1), fields.number(1), fields.take(4)
        fields.take(10)
        zone, owner = read_name(fields), read_name(fields)
        right = (fields.number(2), fields.number(2), fields.take(4)) == (kind, 1, ttl)
        return (algorithm == self.algorithms[signer.kind] and owner[-len(zone):] == zone and labels == len(owner)
                and right and fields.number(2) == len(message) - fields.at)


class Sig0(Structure):
    """RFC 2931, section 3.1: a dynamic update (RFC 2136) that adds a record of a type nobody knows."""

    what = "DNS SIG(0)"
    holes = ("signer", "label", "data")

    def tree(self, signer):
        zone = b"\1a\0"
        name = Many(If(("signer",), Counted(1, Hole("signer", 1, 63))), zone)
        owner = Many(If(("label",), Counted(1, Hole("label", 1, 63))), zone)
        rdata = Many(b"\0\0", bytes([Rrsig.algorithms[signer.kind]]), b"\0\0\0\0\0", b"eeeeiiiitt", name)
        header = b"id\x28\0" + struct.pack("!4H", 1, 0, 1, 0)
        return Many(rdata, header, zone, b"\0\6\0\1", owner, b"\xff\1\0\1\0\0\x0e\x10", Counted(2, Hole("data")))

    def is_valid(self, signer, message):
        fields = Reader(message)
        right = fields.take(8) == bytes([0, 0, Rrsig.algorithms[signer.kind], 0, 0, 0, 0, 0])
        fields.take(10)
        read_name(fields)
        right &= fields.take(12)[2:] == b"\x28\0" + struct.pack("!4H", 1, 0, 1, 0)
        zone = read_name(fields)
        fields.take(4)
        owner = read_name(fields)
        fields.take(8)
        return right and owner[-len(zone):] == zone and fields.number(2) == len(message) - fields.at


def read_name(fields):
    labels = []
    while label := fields.counted(1):
        labels.append(label)
    return labels


def handshake_message(kind, *inner):
    return Many(bytes([kind]), Counted(3, *inner))


class ClientTranscript(Structure):
    """RFC 5246, section 7.4.8, under a server's key: as short as it can be."""

    what = "TLS 1.2 client signature"
    holes = ("session", "extension")

    @staticmethod
    def message(kind, *inner):
        return handshake_message(kind, *inner)

    def tree(self, signer):
        def certificate(spki):
            return self.message(11, Counted(3, Counted(3, Der(0x30, spki))))
        return Many(
            self.message(1, b"\3\3", bytes(32), Counted(1, Hole("session", 0, 32)), b"\0\2\xc0\x2b\1\0",
                         If(("extension",), Counted(2, b"\xff\xff", Counted(2, Hole("extension"))))),
            self.message(2, b"\3\3", bytes(32), b"\0\xc0\x2b\0"), certificate(b"\0"),
            self.message(12, b"\3\0\x1d\x20", b"v" * 32, b"\4\3\0\1s"), self.message(13, b"\1\x40\0\2\4\3\0\0"),
            self.message(14), certificate(signer.spki), self.message(16, b"\x20", b"v" * 32))

    def is_valid(self, signer, message):
        del signer
        fields, kinds = Reader(message), []
        while not fields.done():
            kinds.append(fields.number(1))
            fields.counted(3)
        return kinds == [1, 2, 11, 12, 13, 14, 11, 16]


class DtlsTranscript(ClientTranscript):
    """RFC 6347, section 4.2.2: the same with another header."""

    what = "DTLS 1.2 client signature"
    number = 0

    def message(self, kind, *inner):
        size = Counted(3, *inner)
        def parts(sizes):
            length, *rest = size.make(sizes)
            return [bytes([kind]) + length + b"\0\0" + bytes(3) + length, *rest]
        made = Many()
        made.parts, made.is_static = parts, False
        return made

    def is_valid(self, signer, message):
        del signer
        fields, kinds = Reader(message), []
        while not fields.done():
            kinds.append(fields.number(1))
            length = fields.number(3)
            fields.take(5)
            if fields.number(3) != length:
                return False
            fields.take(length)
        return kinds == [1, 2, 11, 12, 13, 14, 11, 16]


class QuicConfig(Structure):
    """Google's QUIC crypto, up to its version 30: the configuration of a server."""

    what = "QUIC server configuration"
    holes = ("value",)

    def tree(self, signer):
        del signer
        return Many(b"QUIC server config signature\0", b"SCFG\1\0\0\0", b"KEXS", Hole("value"))

    def is_valid(self, signer, message):
        del signer
        return message.startswith(b"QUIC server config signature\0SCFG")


class Cose(Structure):
    """RFC 9052, section 4.4."""

    what = "COSE_Sign1"
    holes = ("payload",)

    def tree(self, signer):
        del signer
        return Many(b"\x84\x6aSignature1\x43\xa1\1\x26\x40\x58", Counted(1, Hole("payload", 24, 255)))

    def is_valid(self, signer, message):
        del signer
        return message.startswith(b"\x84\x6aSignature1") and message[18] == len(message) - 19


class OpenPgp(Structure):
    """RFC 9580, section 5.2.4: of a document."""

    what = "OpenPGP signature"
    holes = ("document", "subpacket")

    def tree(self, signer):
        del signer
        packets = Many(b"\5\2\x60\0\0\0", If(("subpacket",), Counted(1, b"\x64", Hole("subpacket", 0, 180))))
        head = Many(b"\4\0\x13\x08", Counted(2, packets))
        def trailer(sizes):
            return head.parts(sizes) + [b"\4\xff" + size_of(head.parts(sizes)).to_bytes(4, "big")]
        end = Many()
        end.parts, end.is_static = trailer, False
        return Many(Hole("document"), end)

    def is_valid(self, signer, message):
        del signer
        length = int.from_bytes(message[-4:], "big")
        head = message[-6 - length:-6]
        return message[-6:-4] == b"\4\xff" and head[:1] == b"\4" and len(head) == 6 + int.from_bytes(head[4:6], "big")


class LibrePgp(OpenPgp):
    """draft-koch-librepgp, section 5.2.4: version 5, as GnuPG 2.4 makes and takes it."""

    what = "LibrePGP signature"

    def tree(self, signer):
        del signer
        head = b"\5\0\x13\x08\0\6\5\2\x60\0\0\0"
        return Many(Hole("document"), bytes(6), head, b"\5\xff", struct.pack("!Q", len(head)))

    holes = ("document",)

    def is_valid(self, signer, message):
        del signer
        length = int.from_bytes(message[-8:], "big")
        head = message[-10 - length:-10]
        return message[-10:-8] == b"\5\xff" and head[:1] == b"\5" and len(head) == 6 + int.from_bytes(head[4:6], "big")


STRUCTURES = [Certificate(), BareCertificate(), Request(), Revocations(), RevocationsWithLongLength(),
              RevocationsWithLongTag(), RevocationsWithLongIdentifiers(), OcspResponse(), SignedAttributes(),
              SshLogin(), SshHost(), SshFile(), Ike(), Jws(), UnencodedJws(), Rrsig(), Sig0(), ClientTranscript(),
              DtlsTranscript(), QuicConfig(), Cose(), OpenPgp(), LibrePgp()]

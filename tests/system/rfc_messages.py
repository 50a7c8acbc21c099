"""
Parses and makes the messages that a TLS handshake signs, from the RFCs and independently of the C
code, to judge what immured's policy accepts. Policies and schemes are numbers, as in policy-check.
"""

import struct

TLS_SERVER, TLS13_SERVER, TLS12_SERVER, TLS_CLIENT = range(4)
SERVERS = (TLS_SERVER, TLS13_SERVER, TLS12_SERVER)
NO_CURVE, P256, P384, P521 = range(4)
SPKI = b"SubjectPublicKeyInfo of policy-check"  # of the key that signs in policy-check

# RFC 8446, section 4.2.3: SignatureScheme, and the curve that ecdsa_* is bound to in TLS 1.3
RSA_PKCS1 = {0x0401, 0x0501, 0x0601}  # "not defined for use in signed TLS handshake messages"
ECDSA_CURVE = {0x0403: P256, 0x0503: P384, 0x0603: P521}
RSA_PSS_RSAE = {0x0804, 0x0805, 0x0806}
RSA_PSS_PSS = {0x0809, 0x080A, 0x080B}
ED25519 = 0x0807
ML_DSA = {0x0904, 0x0905, 0x0906}  # draft-ietf-tls-mldsa: in TLS 1.3 only
SCHEMES = sorted(RSA_PKCS1 | set(ECDSA_CURVE) | RSA_PSS_RSAE | RSA_PSS_PSS | {ED25519} | ML_DSA)

CONTEXTS = {"server": b"TLS 1.3, server CertificateVerify", "client": b"TLS 1.3, client CertificateVerify"}
SENTINEL = b"DOWNGRD\1"  # RFC 8446, section 4.1.3


class Weierstrass:
    """RFC 8422, section 5.4: points of a NIST curve (FIPS 186-4, appendix D), uncompressed."""

    def __init__(self, size, prime, b):
        self.size, self.prime, self.b = size, prime, b
        self.value_size = 1 + 2 * size

    def right(self, x):
        return (x * x * x - 3 * x + self.b) % self.prime

    def points(self, x):
        """Both points with this x, as bytes, or none. Every prime here is 3 modulo 4."""
        y = pow(self.right(x), (self.prime + 1) // 4, self.prime)
        if x >= self.prime or y * y % self.prime != self.right(x):
            return []
        return [b"\4" + x.to_bytes(self.size, "big") + each.to_bytes(self.size, "big")
                for each in (y, self.prime - y)]

    def value(self, random):
        while True:
            if points := self.points(random.randrange(self.prime)):
                return random.choice(points)

    def is_value(self, value):
        x, y = (int.from_bytes(value[at:at + self.size], "big") for at in (1, 1 + self.size))
        return value[0] == 4 and max(x, y) < self.prime and y * y % self.prime == self.right(x)


class Montgomery:
    """RFC 7748: values that are reduced, and that do not lead to a secret of zero."""

    def __init__(self, size, prime, low_order):
        self.value_size, self.prime = size, prime
        self.low_order = low_order

    def value(self, random):
        return random.randrange(2, self.prime - 1).to_bytes(self.value_size, "little")

    def is_value(self, value):
        number = int.from_bytes(value, "little")
        return number < self.prime and number not in self.low_order


P_25519, P_448 = 2**255 - 19, 2**448 - 2**224 - 1
GROUPS = {
    23: Weierstrass(32, 2**256 - 2**224 + 2**192 + 2**96 - 1,
                    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B),
    24: Weierstrass(48, 2**384 - 2**128 - 2**96 + 2**32 - 1,
                    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF),
    25: Weierstrass(66, 2**521 - 1,
                    int("0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD"
                        "3BB1BF073573DF883D2C34F1EF451FD46B503F00", 16)),
    29: Montgomery(32, P_25519, {
        0, 1, P_25519 - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823}),
    30: Montgomery(56, P_448, {0, 1, P_448 - 1}),
}
COMMON = {23, 24, 29}


def is_certificate_verify(who, scheme, curve, message):
    """RFC 8446, section 4.4.3; the hashes of its cipher suites are SHA-256 and SHA-384."""
    start = b"\x20" * 64 + CONTEXTS[who] + b"\x00"
    return (message.startswith(start) and len(message) - len(start) in (32, 48)
            and scheme not in RSA_PKCS1 and ECDSA_CURVE.get(scheme, curve) == curve)


def is_server_key_exchange(policy, scheme, message, every_group):
    """RFC 8422, section 5.4: ClientHello.random, ServerHello.random, ServerKeyExchange.params. Randoms
    that are the spaces of TLS 1.3 are nobody's (RFC 8446, section 4.4.3, has them there for this)."""
    if len(message) < 68 or message[:64] == b"\x20" * 64:
        return False
    curve_type, number, length = struct.unpack_from("!BHB", message, 64)
    value, group = message[68:], GROUPS.get(number)
    if curve_type != 3 or group is None or (length, len(value)) != (group.value_size,) * 2:
        return False
    if policy == TLS_SERVER and (message[56:64] != SENTINEL or scheme in RSA_PSS_PSS):
        return False
    return scheme not in ML_DSA and (every_group or number in COMMON) and group.is_value(value)


class Malformed(Exception):
    pass


class Fields:
    """RFC 5246, section 4: reads fields in order, to the end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def vector(self, size, least=0, most=1 << 24, step=1):
        length = self.number(size)
        if not least <= length <= most or length % step:
            raise Malformed
        return self.take(length)

    def done(self):
        return self.at == len(self.data)

    def end(self):
        if not self.done():
            raise Malformed


def need(truth):
    if not truth:
        raise Malformed


def read_sequence(der):
    """X.690: a SEQUENCE with the right length that is not empty."""
    fields = Fields(der)
    need(fields.number(1) == 0x30)
    length = fields.number(1)
    if length >= 0x80:
        need(length in (0x81, 0x82, 0x83))
        length = fields.number(length & 0x7F)
    need(length > 0)
    fields.take(length)
    fields.end()


def read_hello(fields, who):
    need(fields.number(2) == 0x0303)
    fields.take(32)
    fields.vector(1, most=32)
    if who == "client":
        fields.vector(2, 2, step=2)
        need(fields.vector(1) == b"\0")
    else:
        fields.take(2)
        need(fields.number(1) == 0)
    if not fields.done():
        extensions = Fields(fields.vector(2))
        while not extensions.done():
            extensions.take(2)
            extensions.vector(2)
    fields.end()


def read_certificates(fields):
    certificates = Fields(fields.vector(3, 1))
    fields.end()
    found = []
    while not certificates.done():
        found.append(certificates.vector(3, 1))
        read_sequence(found[-1])
    return found


def read_transcript(message):
    """RFC 5246, section 7.4.8: all handshake messages, from ClientHello up to ClientKeyExchange."""
    messages, whole = [], Fields(message)
    while not whole.done():
        messages.append((whole.number(1), Fields(whole.vector(3))))
    kinds = [kind for kind, _ in messages]
    optional = [kind for kind in kinds if kind in (22, 12)]
    need(optional in ([], [22], [12], [22, 12]))
    need(kinds == [1, 2, 11, *optional, 13, 14, 11, 16])
    read_hello(messages[0][1], "client")
    read_hello(messages[1][1], "server")
    read_certificates(messages[2][1])
    group = prime = None
    for kind, fields in messages[3:]:
        if kind == 22:
            need(fields.number(1) == 1)
            read_sequence(fields.vector(3))
        elif kind == 12 and fields.data[:1] == b"\3":
            fields.take(1)
            group = GROUPS.get(fields.number(2))
            need(group is not None)
            value = fields.vector(1)
            need(len(value) == group.value_size and group.is_value(value))
            fields.take(2)
            fields.vector(2, 1)
        elif kind == 12:
            prime = len(fields.vector(2, 128, 1024))
            fields.vector(2, 1, prime)
            fields.vector(2, 1, prime)
            fields.take(2)
            fields.vector(2, 1)
        elif kind == 13:
            fields.vector(1, 1)
            fields.vector(2, 2, step=2)
            names = Fields(fields.vector(2))
            while not names.done():
                need(names.vector(2, 1)[0] == 0x30)
        elif kind == 11:
            need(SPKI in read_certificates(fields)[0])
        elif kind == 16 and group is not None:
            value = fields.vector(1)
            need(len(value) == group.value_size and group.is_value(value))
        elif kind == 16:
            fields.vector(2, 128 if prime is None else 1, 1024 if prime is None else prime)
        fields.end()


def is_client_transcript(scheme, message):
    try:
        read_transcript(message)
        return scheme not in ML_DSA
    except Malformed:
        return False


def is_handshake_message(policy, scheme, curve, message, every_group=True):
    """Whether a key on this curve with this policy may sign this under this scheme."""
    who = "server" if policy in SERVERS else "client"
    if is_certificate_verify(who, scheme, curve, message):
        return True
    if message.startswith(b"\x20" * 64) or policy == TLS13_SERVER:
        return False
    return (is_server_key_exchange(policy, scheme, message, every_group) if who == "server"
            else is_client_transcript(scheme, message))


def handshake(kind, *parts):
    body = b"".join(parts)
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def certificate_list(*contents):
    return vector(3, b"".join(vector(3, b"\x30\x82" + vector(2, content)) for content in contents))


def server_key_exchange(random, number, sentinel=True):
    """What a server signs: both randoms and its ServerECDHParams."""
    randoms = random.randbytes(56) + SENTINEL if sentinel else random.randbytes(64)
    return randoms + struct.pack("!BH", 3, number) + vector(1, GROUPS[number].value(random))


def client_transcript(random, exchange, spki=SPKI):
    """The transcript of a handshake with RSA or DHE (by name), or an ECDHE group (by number)."""
    extensions = vector(2, b"\0\x17\0\0" + b"\0\x0b" + vector(2, random.randbytes(5)))
    hello = b"\3\3" + random.randbytes(32) + vector(1, random.randbytes(random.choice((0, 32))))
    signature = b"\4\3" + vector(2, random.randbytes(70))
    request = b"\2\1\x40" + vector(2, b"\4\3\x08\4") + vector(2, vector(2, b"\x30\2\x31\0"))
    status = [handshake(22, b"\1", vector(3, b"\x30\3\x0a\1\0"))] if random.random() < 0.5 else []
    if exchange == "RSA":
        key_exchange, client = [], vector(2, random.randbytes(256))
    elif exchange == "DHE":
        key_exchange = [handshake(12, vector(2, random.randbytes(256)), vector(2, b"\2"),
                                  vector(2, random.randbytes(256)), signature)]
        client = vector(2, random.randbytes(256))
    else:
        group = GROUPS[exchange]
        key_exchange = [handshake(12, struct.pack("!BH", 3, exchange), vector(1, group.value(random)),
                                  signature)]
        client = vector(1, group.value(random))
    return b"".join((
        handshake(1, hello, vector(2, b"\xc0\x2b\xc0\x2f"), b"\1\0", extensions),
        handshake(2, hello, b"\xc0\x2b\0", extensions),
        handshake(11, certificate_list(random.randbytes(400))), *status, *key_exchange,
        handshake(13, request), handshake(14),
        handshake(11, certificate_list(random.randbytes(99) + spki + random.randbytes(100), bytes(300))),
        handshake(16, client)))


def handshake_messages(random):
    """[(policies that take it, message)]: every valid kind."""
    found = []
    for who, policies in (("server", set(SERVERS)), ("client", {TLS_CLIENT})):
        for size in (32, 48):
            found.append((policies, b"\x20" * 64 + CONTEXTS[who] + b"\0" + random.randbytes(size)))
    for number in GROUPS:
        found.append(({TLS_SERVER, TLS12_SERVER}, server_key_exchange(random, number)))
        found.append(({TLS12_SERVER}, server_key_exchange(random, number, sentinel=False)))
    for exchange in ("RSA", "DHE", *GROUPS):
        found.append(({TLS_CLIENT}, client_transcript(random, exchange)))
    return found

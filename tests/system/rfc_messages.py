"""
What a TLS handshake signs, parsed and made from the RFCs and from nothing of ours: the judge of what
immured's policy takes. Policies and schemes are named by number, as policy-check takes them.
"""

import struct

TLS_SERVER, TLS13_SERVER, TLS_CLIENT = 0, 1, 2
NO_CURVE, P256, P384, P521 = range(4)

# RFC 8446, section 4.2.3: SignatureScheme, and the curve that ecdsa_* is bound to in TLS 1.3
RSA_PKCS1 = {0x0401, 0x0501, 0x0601}  # "not defined for use in signed TLS handshake messages"
ECDSA_CURVE = {0x0403: P256, 0x0503: P384, 0x0603: P521}
RSA_PSS_RSAE = {0x0804, 0x0805, 0x0806}
ED25519 = 0x0807
SCHEMES = sorted(RSA_PKCS1 | set(ECDSA_CURVE) | RSA_PSS_RSAE | {ED25519})

# RFC 8422, section 5.4, and RFC 7748: the point of each NamedCurve, and whether it is uncompressed
CURVES = {23: (65, True), 24: (97, True), 25: (133, True), 29: (32, False), 30: (56, False)}

CONTEXTS = {"server": b"TLS 1.3, server CertificateVerify", "client": b"TLS 1.3, client CertificateVerify"}


def is_certificate_verify(who, scheme, curve, message):
    """RFC 8446, section 4.4.3; the hashes of its cipher suites are SHA-256 and SHA-384."""
    start = b"\x20" * 64 + CONTEXTS[who] + b"\x00"
    return (message.startswith(start) and len(message) - len(start) in (32, 48)
            and scheme not in RSA_PKCS1 and ECDSA_CURVE.get(scheme, curve) == curve)


def is_server_key_exchange(message):
    """RFC 8422, section 5.4: ClientHello.random, ServerHello.random, ServerKeyExchange.params. Randoms
    that are the spaces of TLS 1.3 are nobody's (RFC 8446, section 4.4.3, has them there for this)."""
    if len(message) < 68 or message[:64] == b"\x20" * 64:
        return False
    curve_type, curve, length = struct.unpack_from("!BHB", message, 64)
    point = message[68:]
    if curve_type != 3 or curve not in CURVES or (length, len(point)) != (CURVES[curve][0],) * 2:
        return False
    return not CURVES[curve][1] or point[0] == 4


def is_client_transcript(message):
    """RFC 5246, section 7.4.8: all handshake messages, from ClientHello up to ClientKeyExchange."""
    at, types = 0, []
    while at < len(message):
        if at + 4 > len(message):
            return False
        types.append(message[at])
        at += 4 + int.from_bytes(message[at + 1:at + 4], "big")
    return at == len(message) and bool(types) and types[0] == 1 and types[-1] == 16


def is_handshake_message(policy, scheme, curve, message):
    """Whether a key on this curve with this policy may sign this under this scheme."""
    if policy == TLS13_SERVER:
        return is_certificate_verify("server", scheme, curve, message)
    who = "server" if policy == TLS_SERVER else "client"
    if is_certificate_verify(who, scheme, curve, message):
        return True
    if message.startswith(b"\x20" * 64):
        return False
    return is_server_key_exchange(message) if who == "server" else is_client_transcript(message)


def handshake_messages(random):
    """[(policies that take it, message)]: every valid kind."""
    found = []
    for who, policies in (("server", {TLS_SERVER, TLS13_SERVER}), ("client", {TLS_CLIENT})):
        for size in (32, 48):
            found.append((policies, b"\x20" * 64 + CONTEXTS[who] + b"\0" + random.randbytes(size)))
    for curve, (size, uncompressed) in CURVES.items():
        point = (b"\4" + random.randbytes(size - 1)) if uncompressed else random.randbytes(size)
        found.append(({TLS_SERVER}, random.randbytes(64) + struct.pack("!BHB", 3, curve, size) + point))
    transcript = b"".join(
        bytes([kind]) + len(body).to_bytes(3, "big") + body
        for kind, body in ((1, random.randbytes(180)), (2, random.randbytes(70)), (11, random.randbytes(400)),
                           (13, random.randbytes(30)), (14, b""), (11, b"\0\0\0"), (16, random.randbytes(33))))
    found.append(({TLS_CLIENT}, transcript))
    return found

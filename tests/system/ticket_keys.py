"""Keys of session tickets, derived independently of the C code (docs/protocol.md)."""

import hmac
import struct

KEY_SIZE = 16 + 32 + 32


def hkdf(secret, info, size):
    """RFC 5869 with SHA-256 and no salt."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    block, done = b"", b""
    for number in range(1, 256):
        if len(done) >= size:
            break
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        done += block
    return done[:size]


def derived(secret, epoch_seconds, epoch):
    return hkdf(secret, b"immure session tickets" + struct.pack("!IQ", epoch_seconds, epoch), KEY_SIZE)

"""The wire protocol of immured, spoken independently of the C code (docs/protocol.md)."""

import hashlib
import socket
import struct

MAGIC = 0x494D4D55
VERSION = 2
LOWEST = 1
HEADER = struct.Struct("!BBHQ")

HELLO, LIST, SIGN, CANCEL, STATS, PING, DECRYPT, TICKETS = range(1, 9)
WELCOME, KEYS, SIGNED, FIGURES, PONG, DECRYPTED, TICKET_KEYS, ERROR = \
    0x81, 0x82, 0x83, 0x85, 0x86, 0x87, 0x88, 0xFF

E_MAGIC, E_VERSION, E_FRAME_TYPE, E_FRAME_SIZE, E_MALFORMED, E_STALLED, E_PEER, \
    E_FRAME_VERSION = range(1, 9)
E_UNKNOWN_KEY, E_SCHEME, E_POLICY, E_BUSY, E_EXPIRED, E_CANCELLED, E_SIGNING, \
    E_DEVICE, E_NO_TICKETS = range(32, 41)

RSA_PKCS1_SHA256 = 0x0401
RSA_PKCS1_SHA384 = 0x0501
RSA_PKCS1_SHA512 = 0x0601
ECDSA_SHA256 = 0x0403
ECDSA_SHA384 = 0x0503
ECDSA_SHA512 = 0x0603
RSA_PSS_SHA256 = 0x0804
RSA_PSS_SHA384 = 0x0805
RSA_PSS_SHA512 = 0x0806
ED25519 = 0x0807

SERVER_CONTEXT = b"TLS 1.3, server CertificateVerify\0"
CLIENT_CONTEXT = b"TLS 1.3, client CertificateVerify\0"


def frame(type, id=0, payload=b"", flags=0, length=None):
    """The bytes of a frame; `length` may be wrong on purpose."""
    return HEADER.pack(type, flags, len(payload) if length is None else length, id) + payload


def hello(lowest=LOWEST, highest=VERSION, magic=MAGIC):
    return frame(HELLO, 0, struct.pack("!IHH", magic, lowest, highest))


def sign(id, key_id, scheme, message, time_left_us=0):
    return frame(SIGN, id, key_id + struct.pack("!HI", scheme, time_left_us) + message)


def tls13_message(context=SERVER_CONTEXT, digest=b"\x5a" * 32):
    """What CertificateVerify signs (RFC 8446, section 4.4.3)."""
    return b" " * 64 + context + digest


def tls12_message(group=29, point=b"\x42" * 32, randoms=b"\xa5" * 56, end=b"DOWNGRD\1"):
    """What ServerKeyExchange signs (RFC 8422, section 5.4), of a server that has TLS 1.3, as the end of
    its random says (RFC 8446, section 4.1.3)."""
    return randoms + end + struct.pack("!BHB", 3, group, len(point)) + point


def key_id(spki_der):
    return hashlib.sha256(spki_der).digest()


class Frame:
    def __init__(self, type, flags, id, payload):
        self.type, self.flags, self.id, self.payload = type, flags, id, payload

    @property
    def error(self):
        """(code, text) of an ERROR."""
        assert self.type == ERROR, f"frame of type {self.type:#x}, not ERROR"
        return struct.unpack_from("!H", self.payload)[0], self.payload[2:].decode()

    @property
    def signed(self):
        """(backend, queue_ns, sign_ns, signature) of a SIGNED."""
        assert self.type == SIGNED, f"frame of type {self.type:#x}: {self.payload!r}"
        return (*struct.unpack_from("!BQQ", self.payload), self.payload[17:])

    def __repr__(self):
        return f"Frame({self.type:#x}, id={self.id}, {self.payload!r})"


class Closed(Exception):
    """The peer ended the stream."""


class Client:
    """A blocking client over a connected stream socket, greeted unless told otherwise."""

    def __init__(self, stream, greet=True, timeout=20):
        self.socket = stream
        self.socket.settimeout(timeout)
        self.input = b""
        self.last_id = 0
        self.welcome = None
        if greet:
            self.send(hello())
            reply = self.receive()
            assert reply.type == WELCOME, repr(reply)
            self.welcome = struct.unpack("!IHHI", reply.payload)

    @classmethod
    def connect(cls, path, **options):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(20)
        try:
            stream.connect(path)
        except OSError:
            stream.close()
            raise
        return cls(stream, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next frame; Closed at the end of the stream."""
        while True:
            if len(self.input) >= HEADER.size:
                type, flags, length, id = HEADER.unpack_from(self.input)
                end = HEADER.size + length
                if len(self.input) >= end:
                    payload, self.input = self.input[HEADER.size : end], self.input[end:]
                    return Frame(type, flags, id, payload)
            try:
                data = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                raise Closed(f"{len(self.input)} bytes of a frame left")
            self.input += data

    def next_id(self):
        self.last_id += 1
        return self.last_id

    def ask(self, type, payload=b""):
        """One request, one reply."""
        id = self.next_id()
        self.send(frame(type, id, payload))
        reply = self.receive()
        assert reply.id == id, repr(reply)
        return reply

    def sign(self, key, scheme, message, time_left_us=0):
        """The reply to one SIGN: SIGNED or ERROR."""
        id = self.next_id()
        self.send(sign(id, key, scheme, message, time_left_us))
        reply = self.receive()
        assert reply.id == id, repr(reply)
        return reply

    def decrypt(self, key, ciphertext, version=0x0303, time_left_us=0):
        """The premaster secret, or an ERROR."""
        reply = self.ask(DECRYPT, key + struct.pack("!HI", version, time_left_us) + ciphertext)
        return reply.payload[17:] if reply.type == DECRYPTED else reply

    def ping(self, data=b"still there?"):
        reply = self.ask(PING, data)
        assert reply.type == PONG and reply.payload == data, repr(reply)

    def keys(self):
        """[(name, SubjectPublicKeyInfo, [scheme, ...]), ...] of all pages."""
        return [(name, spki, schemes) for _, name, spki, schemes in self.listing()]

    def listing(self):
        """[(id, name, SubjectPublicKeyInfo, [scheme, ...]), ...] of all pages. A compact key has an
        empty SubjectPublicKeyInfo."""
        keys, first = [], 0
        while True:
            reply = self.ask(LIST, struct.pack("!I", first))
            assert reply.type == KEYS, repr(reply)
            first, count = struct.unpack_from("!IH", reply.payload)
            at = 6
            for _ in range(count):
                id = reply.payload[at : at + 32]
                at += 32
                length = reply.payload[at]
                name = reply.payload[at + 1 : at + 1 + length].decode()
                at += 1 + length
                (length,) = struct.unpack_from("!H", reply.payload, at)
                spki = reply.payload[at + 2 : at + 2 + length]
                at += 2 + length + 4
                schemes = list(struct.unpack_from(f"!{reply.payload[at]}H", reply.payload, at + 1))
                at += 1 + 2 * reply.payload[at]
                assert not spki or id == key_id(spki)
                keys.append((id, name, spki, schemes))
            assert at == len(reply.payload), repr(reply)
            if first == 0:
                return keys

    def stats(self):
        """{number: value}"""
        reply = self.ask(STATS)
        assert reply.type == FIGURES, repr(reply)
        (count,) = struct.unpack_from("!H", reply.payload)
        assert len(reply.payload) == 2 + 10 * count
        return dict(struct.unpack_from("!HQ", reply.payload, 2 + 10 * i) for i in range(count))

"""A supervisor that hands compact keys over to immured (src/daemon/hand_over.h), and P-256 keys to
hand over, as many as wanted."""

import base64
import hashlib
import os
import signal
import socket
import struct

import harness

FILES_AT_ONCE = 32

# The curve P-256 (SEC 2, section 2.4.2): y^2 = x^3 - 3x + b modulo PRIME.
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)

# PKCS #8 with the public half, and SubjectPublicKeyInfo, both up to the numbers.
PRIVATE = bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420")
PUBLIC = bytes.fromhex("a14403420004")
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


def add_points(one, other):
    if one is None:
        return other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, PRIME) % PRIME
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, PRIME) % PRIME
    x = (slope * slope - x1 - x2) % PRIME
    return x, (slope * (x1 - x) - y1) % PRIME


def multiply(number):
    point, power = None, BASE
    while number:
        if number & 1:
            point = add_points(point, power)
        power = add_points(power, power)
        number >>= 1
    return point


def pem(label, der):
    body = base64.b64encode(der).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


class CompactKey:
    def __init__(self, path, spki, secret):
        self.path, self.spki, self.secret = path, spki, secret
        self.id = hashlib.sha256(spki).digest()
        self.kind = "p-256"


def write_keys(directory, count, first=None):
    """New P-256 keys in files, a neighbour each of the one before: their points are cheap then."""
    number = first or int.from_bytes(os.urandom(31), "big")
    point, keys = multiply(number), []
    for place in range(count):
        path = os.path.join(directory, f"{number % 2**64:016x}-{place}.key")
        secret = number.to_bytes(32, "big")
        numbers = b"".join(value.to_bytes(32, "big") for value in point)
        with open(path, "w", encoding="ascii") as file:
            file.write(pem("PRIVATE KEY", PRIVATE + secret + PUBLIC + numbers))
        keys.append(CompactKey(path, SPKI + numbers, secret))
        number, point = number + 1, add_points(point, BASE)
    return keys


class Supervisor:
    """Starts key processes with the text of a configuration, one after the other."""

    def __init__(self, test, text, keys, files=()):
        self.test, self.section = test, "web"
        self.keys, self.files = list(keys), list(files)
        self.vault, self.changes = None, []
        self.path = os.path.join(test.directory, "immured.sock")
        self.config = os.path.join(test.directory, "immured.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)
        self.listener = test.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self.listener.bind(self.path)
        self.listener.listen(128)

    def start(self):
        """Hands everything over, and waits until the key process has it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(harness.LIMIT)
        self.socket = self.test.own(ours)
        with theirs:
            self.immured = self.test.start_program(
                "immured", "--config", self.config, "--hand-over-fd", str(theirs.fileno()),
                "--listen-fd", str(self.listener.fileno()),
                pass_fds=(theirs.fileno(), self.listener.fileno()))
        if self.vault is None:
            self.hand_over()
        else:
            self.send_vault()
        harness.wait_until(lambda: "ready: " in self.immured.log() or not self.immured.running(), "immured to be ready")
        self.test.assertTrue(self.immured.running(), self.immured.log()[-3000:])
        return self.immured

    def item(self, key):
        return f"{self.section} {key.id.hex()} {key.path}".encode()

    def send_files(self, kind, items):
        """`items` are (path, text)."""
        message, files = kind, []
        for path, text in items:
            try:
                files.append(os.open(path, os.O_RDONLY))
                message += b"0 "
            except OSError as error:
                message += b"%d " % error.errno
            message += text + b"\0"
        socket.send_fds(self.socket, [message], files)
        for file in files:
            os.close(file)
        self.test.assertEqual(self.socket.recv(64), b"T", self.immured.log()[-3000:])

    def hand_over(self):
        for path in self.files:
            self.send_files(b"F", [(path, path.encode())])
        for first in range(0, len(self.keys), FILES_AT_ONCE):
            self.send_files(b"K", [(key.path, self.item(key)) for key in self.keys[first : first + FILES_AT_ONCE]])
        self.socket.send(b"E")
        answer, descriptors, _, _ = socket.recv_fds(self.socket, 64, 4)
        self.test.assertEqual((answer[:1], len(answer), len(descriptors)), (b"V", 33, 1),
                              self.immured.log()[-3000:])
        self.vault = (answer[1:], descriptors[0])
        self.test.addCleanup(os.close, descriptors[0])

    def send_vault(self):
        descriptors = [self.vault[1]]
        if self.changes:
            descriptors.append(os.memfd_create("changes"))
            for change in self.changes:
                os.write(descriptors[1], struct.pack("!I", len(change)) + change)
        socket.send_fds(self.socket, [b"V" + self.vault[0]], descriptors)
        for descriptor in descriptors[1:]:
            os.close(descriptor)

    def kill(self):
        self.immured.process.kill()
        self.immured.process.wait()
        self.immured.expected_status = -signal.SIGKILL
        self.socket.close()

    def ask(self, message, files=()):
        """The answer to a change; one that was made is kept for the next key process."""
        socket.send_fds(self.socket, [message + b"\0"], files)
        answer = self.socket.recv(65536)
        if answer[:1] == b"C":
            self.changes.append(answer[1:])
        return answer

    def add(self, key):
        file = os.open(key.path, os.O_RDONLY)
        try:
            return self.ask(b"A" + self.item(key), [file])
        finally:
            os.close(file)

    def remove(self, key):
        return self.ask(b"R" + key.id.hex().encode())

"""The audit of immured: who was refused what, who signed what; and that it waits for no reader."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess

import harness
import wire
from immured import ImmuredTest, Key

KEY_NAME = 'quo"te \\ and\tother \u00fcs'


def audit_lines(text, what=None):
    """The JSON objects in a log, those of one kind."""
    lines = [json.loads(line) for line in text.splitlines()
             if line.startswith("{") and '"audit":' in line]
    return [line for line in lines if what in (None, line["audit"])]


class Lines(ImmuredTest):
    def setUp(self):
        super().setUp()
        self.key, self.other = Key("p-256"), Key("ed25519")

    def start(self, top="", more=""):
        escaped = KEY_NAME.replace("\\", "\\\\").replace('"', '\\"')
        self.immured = self.start_immured(
            self.other, top=f'{top}\nkey "{escaped}" {{ file = "{self.key.file}" {more} }}')
        return self.connect()

    def lines(self, what=None):
        return audit_lines(self.immured.log(), what)

    def assert_line(self, line, **members):
        self.assertRegex(line["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(line["program"], "immured")
        self.assertNotEqual(line["pid"], self.immured.pid, "the key process's")
        self.assertEqual(line["peer_pid"], os.getpid())
        self.assertEqual(line["peer_uid"], os.getuid())
        for name, value in members.items():
            self.assertEqual(line[name], value, line)

    def test_refusals(self):
        client = self.start(more='rate = "1/m burst 1"')
        unknown = bytes(31) + b"\7"
        message = wire.tls13_message()
        client.sign(unknown, wire.ECDSA_SHA256, message)
        client.sign(self.key.id, wire.RSA_PSS_SHA256, message)
        client.sign(self.key.id, 0x1234, message)
        self.assertEqual(self.lines("alarm"), [])
        client.sign(self.key.id, wire.ECDSA_SHA256, b"pay 1000 to Mallory")
        self.assertEqual(client.sign(self.key.id, wire.ECDSA_SHA256, message).type, wire.SIGNED)
        client.sign(self.key.id, wire.ECDSA_SHA256, message)
        first, second, third, busy = self.lines("refused")
        self.assert_line(first, key=None, key_id=unknown.hex(), scheme="ecdsa_secp256r1_sha256",
                         error=wire.E_UNKNOWN_KEY, reason="no key with this id")
        self.assert_line(second, key=KEY_NAME, key_id=self.key.id.hex(),
                         scheme="rsa_pss_rsae_sha256", error=wire.E_SCHEME)
        self.assert_line(third, key=KEY_NAME, scheme="0x1234", error=wire.E_SCHEME)
        self.assert_line(busy, key=KEY_NAME, error=wire.E_BUSY,
                         reason="the client asks more often than its rate allows")
        alarm, = self.lines("alarm")
        self.assert_line(alarm, key=KEY_NAME, scheme="ecdsa_secp256r1_sha256", error=wire.E_POLICY)
        self.assertIn("not a TLS handshake signature", alarm["reason"])
        self.assertEqual(self.lines("signed"), [], "only by option")
        self.assertNotIn("Mallory", self.immured.log(), "no bytes of messages")

    def test_signatures(self):
        client = self.start(top="audit = all")
        for key, message in ((self.key, wire.tls12_message()), (self.key, wire.tls13_message()),
                             (self.other, wire.tls13_message(digest=b"x" * 48))):
            reply = client.sign(key.id, key.tls13_scheme(), message)
            self.assertTrue(key.verifies(key.tls13_scheme(), message, reply.signed[3]))
            self.assert_line(self.lines("signed")[-1],
                             key=KEY_NAME if key is self.key else "key 0", key_id=key.id.hex(),
                             message_sha256=hashlib.sha256(message).hexdigest())
        client.sign(self.key.id, wire.ECDSA_SHA256, b"no handshake")
        self.assertEqual([line["audit"] for line in self.lines()],
                         ["signed", "signed", "signed", "alarm"])
        self.assertEqual([line["scheme"] for line in self.lines("signed")],
                         ["ecdsa_secp256r1_sha256"] * 2 + ["ed25519"])

    def test_decryptions(self):
        self.key = Key("rsa-2048")
        client = self.start(top="audit = all", more="decrypt = tls-rsa-key-exchange")
        ciphertext = bytes(range(256))
        self.assertEqual(len(client.decrypt(self.key.id, ciphertext)), 48)
        self.assert_error(client.decrypt(self.other.id, ciphertext), wire.E_POLICY)
        self.assert_error(client.decrypt(self.key.id, ciphertext, version=0x0304), wire.E_POLICY)
        done, refused, version = self.lines()
        self.assert_line(done, audit="decrypted", key=KEY_NAME, scheme=None,
                         message_sha256=hashlib.sha256(ciphertext).hexdigest())
        self.assert_line(refused, audit="refused", key="key 0", scheme=None,
                         reason="the key's configuration does not allow decryption")
        self.assert_line(version, audit="refused", key=KEY_NAME,
                         reason="the client version is of no TLS that has RSA key exchange")

    def test_among_json_lines(self):
        client = self.start(top="log = json")
        client.sign(bytes(32), wire.ECDSA_SHA256, wire.tls13_message())
        lines = [json.loads(line) for line in self.immured.log().splitlines()]
        self.assertEqual(len([line for line in lines if "audit" in line]), 1)
        self.assertTrue(all({"time", "program", "pid"} <= set(line) for line in lines))

    @harness.needs_root("to be another user")
    def test_refused_users(self):
        self.start(top="allow-users = {50001}", more="allow-users = {50002}")

        def ask_as(uid):
            child = os.fork()
            if child == 0:
                with contextlib.suppress(Exception):
                    os.setgroups([])
                    os.setresuid(uid, uid, uid)
                    with wire.Client.connect(self.path, greet=False) as client:
                        client.send(wire.hello())
                        client.receive()
                        client.sign(self.key.id, wire.ECDSA_SHA256, wire.tls13_message())
                os._exit(0)
            os.waitpid(child, 0)
            return child
        os.chmod(self.directory, 0o711)
        pid = ask_as(50001)
        line, = self.lines("refused")
        self.assertEqual((line["peer_pid"], line["peer_uid"], line["key"], line["error"]),
                         (pid, 50001, KEY_NAME, wire.E_PEER))
        self.assertIn("uid 50001 may not use key", line["reason"])
        pid = ask_as(50003)
        line = self.lines("refused")[-1]
        self.assertEqual((line["peer_pid"], line["peer_uid"], line["key"], line["scheme"]),
                         (pid, 50003, None, None))
        ask_as(50002)
        self.assertEqual(len(self.lines()), 2)


class SlowReader(ImmuredTest):
    """Standard error that nobody reads."""

    REFUSED = 3000

    def start_writing_to(self, stderr):
        self.key = Key("p-256")
        self.start_immured(self.key).stop()  # for its configuration
        immured = subprocess.Popen([harness.program_path("immured"), "--config", self.config],
                                   stdin=subprocess.DEVNULL, stderr=stderr)
        self.addCleanup(immured.wait, harness.LIMIT)
        self.addCleanup(immured.terminate)
        return immured

    def client(self):
        def connect():
            with contextlib.suppress(OSError, wire.Closed):
                return self.connect()
            return None
        return harness.wait_until(connect, "immured to serve")

    def flood(self):
        """More refused requests than there is room for their lines; it serves on."""
        client, message = self.client(), wire.tls13_message()
        for start in range(1, self.REFUSED, 500):
            client.send(b"".join(wire.sign(start + id, bytes(32), wire.ED25519, message)
                                 for id in range(500)))
            for _ in range(500):
                self.assert_error(client.receive(), wire.E_UNKNOWN_KEY)
        self.assert_served(client, self.key)
        return client

    def assert_all_accounted_for(self, read):
        """By a line of its own, or in a count of those that were lost."""
        text = ""

        def counts():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                text += read().decode()
            whole = text[:text.rfind("\n") + 1]
            return (len(audit_lines(whole, "refused")),
                    sum(line["lines"] for line in audit_lines(whole, "lost")))
        harness.wait_until(lambda: sum(counts()) >= self.REFUSED, "the count of all lines")
        refused, lost = counts()
        self.assertEqual(refused + lost, self.REFUSED)
        self.assertGreater(refused, 100)
        self.assertGreater(lost, 100)

    def test_a_pipe(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        immured = self.start_writing_to(writing)
        os.close(writing)
        self.flood()
        os.set_blocking(reading, False)
        self.assert_all_accounted_for(lambda: os.read(reading, 1 << 20))
        self.assertIsNone(immured.poll())

    def test_a_socket(self):
        """As with systemd's journal."""
        reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.own(reading)
        immured = self.start_writing_to(writing)
        writing.close()
        self.flood()
        reading.setblocking(False)
        self.assert_all_accounted_for(lambda: reading.recv(1 << 20))
        self.assertIsNone(immured.poll())

    def test_the_mode_of_the_pipe_is_left_alone(self):
        """Others who write to it would be surprised."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        self.start_writing_to(writing)
        self.client()
        self.assertTrue(os.get_blocking(writing))
        self.assertIn("ready:", os.read(reading, 4096).decode())


if __name__ == "__main__":
    harness.main()

"""The audit of immured: who was refused what, and who signed what. It never waits for a reader."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time

import harness
import wire
from immured import ImmuredTest, Key, key_process

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
        client = self.start(more='rate = "1/m burst 4"')  # a refused request counts, too
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

    ASKED = 3000
    WHAT = "signed"  # all lines of this kind are wanted

    def start_writing_to(self, stderr):
        self.key = Key("p-256")
        self.start_immured(self.key, top="audit = all").stop()  # for its configuration
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
        """Makes more signatures than there is room for lines; immured continues to serve."""
        client, message = self.client(), wire.tls13_message()
        for start in range(1, self.ASKED, 500):
            client.send(b"".join(wire.sign(start + id, self.key.id, wire.ECDSA_SHA256, message)
                                 for id in range(500)))
            for _ in range(500):
                self.assertEqual(client.receive().type, wire.SIGNED)
        return client

    def assert_all_accounted_for(self, read):
        """Every signature has a line, or is counted as lost."""
        text = ""

        def counts():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                text += read().decode()
            lines = audit_lines(text[:text.rfind("\n") + 1], self.WHAT)
            return (len([line for line in lines if "more" not in line]),
                    sum(line.get("more", 0) for line in lines))
        harness.wait_until(lambda: sum(counts()) >= self.ASKED, "the count of all lines")
        written, more = counts()
        self.assertEqual(written + more, self.ASKED)
        self.assertGreater(written, 20)
        self.assertGreater(more, 100)

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
        """Changing the mode would affect other writers."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        self.start_writing_to(writing)
        self.client()
        self.assertTrue(os.get_blocking(writing))
        self.assertIn("ready:", os.read(reading, 4096).decode())


class Budgets(ImmuredTest):
    """Nobody can flood the log, or suppress another user's alarm."""

    FLOOD = 5000
    BURST, A_SECOND = 20, 10  # lines of one account and kind, at once and later
    STRANGER, CLIENT, NOISY = 50001, 50002, 50003

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o711)
        self.key = Key("p-256", more=f"allow-users = {{{self.CLIENT}, {self.NOISY}}}")

    def lines(self, what):
        return audit_lines(self.immured.log(), what)

    def accounted_for(self, what, uid):
        lines = [line for line in self.lines(what) if line["peer_uid"] == uid]
        return sum(line.get("more", 1) for line in lines)

    def ask_as(self, uid, what):
        """Calls what() as a process of this uid; it must not fail."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresuid(uid, uid, uid)
                what()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def knock(self):
        for _ in range(self.FLOOD):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
                stranger.connect(self.path)

    def ask_for_forbidden(self, count):
        client = self.connect()
        for first in range(1, count + 1, 100):
            batch = range(first, min(first + 100, count + 1))
            client.send(b"".join(wire.sign(id, self.key.id, wire.ECDSA_SHA256, b"no handshake")
                                 for id in batch))
            for _ in batch:
                self.assert_error(client.receive(), wire.E_POLICY)

    @harness.needs_root("to be other users")
    def test_floods_are_told_in_a_few_lines(self):
        self.immured = self.start_immured(self.key)
        self.ask_as(self.STRANGER, self.knock)
        self.ask_as(self.NOISY, lambda: self.ask_for_forbidden(self.FLOOD))
        self.ask_as(self.CLIENT, lambda: self.ask_for_forbidden(1))
        for what, uid, count in (("refused", self.STRANGER, self.FLOOD), ("alarm", self.NOISY, self.FLOOD),
                                 ("alarm", self.CLIENT, 1)):
            harness.wait_until(lambda: self.accounted_for(what, uid) >= count, f"{what} of {uid}")
            self.assertEqual(self.accounted_for(what, uid), count)
        alarm, = [line for line in self.lines("alarm") if line["peer_uid"] == self.CLIENT]
        self.assertEqual(alarm["key"], "key 0")
        self.assertLess(len(self.immured.log()), 200_000)

    @harness.needs_root("to be other users")
    def test_two_users_who_come_by_turns_have_no_more_than_their_budgets(self):
        """An account's budget is kept when another account becomes active."""
        rounds, begun = 10, time.monotonic()
        self.immured = self.start_immured(self.key)
        for _ in range(rounds):
            for uid in (self.NOISY, self.CLIENT):
                self.ask_as(uid, lambda: self.ask_for_forbidden(self.BURST))
        for uid in (self.NOISY, self.CLIENT):
            harness.wait_until(lambda: self.accounted_for("alarm", uid) == rounds * self.BURST,
                               f"the alarms of {uid}")
            told = [line for line in self.lines("alarm") if line["peer_uid"] == uid and "more" not in line]
            self.assertLessEqual(len(told), self.BURST + self.A_SECOND * (time.monotonic() - begun))

    @harness.needs_root("to be other users")
    def test_an_alarm_is_told_though_others_fill_a_pipe_that_nobody_reads(self):
        self.start_immured(self.key).stop()
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        immured = subprocess.Popen([harness.program_path("immured"), "--config", self.config],
                                   stdin=subprocess.DEVNULL, stderr=writing)
        os.close(writing)
        self.addCleanup(immured.wait, harness.LIMIT)
        self.addCleanup(immured.terminate)
        harness.wait_until(lambda: os.path.exists(self.path) and key_process(immured), "immured")
        strangers = range(60001, 60041)
        self.FLOOD = 50
        for uid in strangers:
            self.ask_as(uid, self.knock)
        self.ask_as(self.CLIENT, lambda: self.ask_for_forbidden(1))
        text = ""

        def told():
            nonlocal text
            text += os.read(reading, 1 << 20).decode()
            return [line["peer_uid"] for line in audit_lines(text[:text.rfind("\n") + 1], "alarm")]
        self.assertEqual(harness.wait_until(told, "the alarm"), [self.CLIENT])

    @harness.needs_root("to be another user")
    def test_a_refused_request_costs_what_a_good_one_does(self):
        self.key.more += ' rate = "1/m burst 5"'
        self.immured = self.start_immured(self.key)

        def ask():
            client = self.connect()
            codes = [client.sign(self.key.id, wire.ECDSA_SHA256, b"no handshake").error[0]
                     for _ in range(20)]
            assert codes == [wire.E_POLICY] * 5 + [wire.E_BUSY] * 15, codes
        self.ask_as(self.CLIENT, ask)
        self.assertEqual(len(self.lines("alarm")), 5)


if __name__ == "__main__":
    harness.main()

"""Keys of session tickets that immured derives from a secret."""

import os
import signal
import struct
import time

import harness
import wire
from immured import ImmuredTest, Key, key_process
from ticket_keys import KEY_SIZE, derived

SECRET = bytes(range(200, 240))


class Tickets(ImmuredTest):
    def secret(self, content=SECRET, name="secret"):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def start(self, epoch="1h", content=SECRET):
        return self.start_immured(
            Key("p-256"), top=f'ticket-secret-file = "{self.secret(content)}"\nticket-epoch = {epoch}')

    def keys(self, client):
        """(epoch's length in s, left in ms, number, current key, previous key)"""
        reply = client.ask(wire.TICKETS)
        self.assertEqual(reply.type, wire.TICKET_KEYS, repr(reply))
        self.assertEqual(len(reply.payload), 16 + 2 * KEY_SIZE)
        return struct.unpack(f"!IIQ{KEY_SIZE}s{KEY_SIZE}s", reply.payload)

    def test_derived_as_documented(self):
        self.start()
        seconds, left, epoch, current, previous = self.keys(self.connect())
        self.assertEqual(seconds, 3600)
        self.assertAlmostEqual(epoch * 3600 + 3600 - left / 1000, time.time(), delta=harness.LIMIT)
        self.assertEqual(current, derived(SECRET, 3600, epoch))
        self.assertEqual(previous, derived(SECRET, 3600, epoch - 1))

    def test_rotation(self):
        self.start("1s")
        client = self.connect()
        _, left, epoch, current, _ = self.keys(client)
        self.assertLessEqual(left, 1000)
        _, _, next_epoch, next_current, next_previous = harness.wait_until(
            lambda: (keys := self.keys(client))[2] > epoch and keys, "the next epoch")
        self.assertNotEqual(next_current, current)
        self.assertEqual(next_previous, derived(SECRET, 1, next_epoch - 1))
        self.assertEqual(next_current, derived(SECRET, 1, next_epoch))

    def test_another_secret_after_hup(self):
        immured = self.start()
        before = self.keys(self.connect())
        process = key_process(immured)
        os.kill(process, signal.SIGKILL)
        harness.wait_until(lambda: immured.log().count("serves") == 2, "the next key process")
        self.assertEqual(self.keys(self.connect())[2:], before[2:])
        other = SECRET[::-1]
        self.secret(other)
        immured.signal(signal.SIGHUP)
        harness.wait_until(lambda: immured.log().count("serves") == 3, "the new secret")
        _, _, epoch, current, _ = self.keys(self.connect())
        self.assertEqual(current, derived(other, 3600, epoch))

    def test_without_a_secret(self):
        key = Key("p-256")
        self.start_immured(key)
        client = self.connect()
        self.assert_error(client.ask(wire.TICKETS), wire.E_NO_TICKETS,
                          "no secret for session tickets is configured")
        self.assert_served(client, key)

    def test_secrets_that_are_refused(self):
        key = Key("p-256")
        for content, reason in ((b"", "it has 0 bytes, at least 32 are needed"),
                                (bytes(31), "it has 31 bytes, at least 32 are needed"),
                                (bytes(4097), "File too large"),
                                (None, "No such file or directory")):
            with self.subTest(reason=reason):
                path = os.path.join(self.directory, "none")
                if content is not None:
                    path = self.secret(content)
                config = os.path.join(self.directory, "bad.conf")
                with open(config, "w", encoding="utf-8") as file:
                    file.write(f'listen = "{self.directory}/bad.sock"\nticket-secret-file = "{path}"\n'
                               f'key "k" {{ file = "{key.file}" }}\n')
                immured = self.start_program("immured", "--config", config)
                immured.expected_status = 1
                self.assertEqual(immured.wait(), 1)
                self.assertIn(f"ticket-secret-file: {path}: {reason}", immured.log())

    def test_epochs_that_are_refused(self):
        for epoch in ("0s", "999ms", "1500ms", "25h", "soon"):
            with self.subTest(epoch=epoch):
                config = os.path.join(self.directory, "bad.conf")
                with open(config, "w", encoding="utf-8") as file:
                    file.write(f"ticket-epoch = {epoch}\n")
                immured = self.start_program("immured", "--config", config)
                immured.expected_status = 1
                self.assertEqual(immured.wait(), 1)
                self.assertIn(f'bad.conf:1: ticket-epoch must be 1s to 24h, whole seconds, not \'{epoch}\'',
                              immured.log())


if __name__ == "__main__":
    harness.main()

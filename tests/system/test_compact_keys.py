"""Thousands of keys in compact form, which a supervisor hands over: what they cost, that each
signs, that a wrong or damaged one disturbs no other, that few are decoded at a time, and that they
come and go at run time."""

import os
import signal
import threading

import harness
import proc
import wire
from immured import ImmuredTest, Key
from key_supervisor import Supervisor, pem, write_keys

KEYS = harness.scaled(4000, 400)
MESSAGE = wire.tls13_message()


class CompactKeys(ImmuredTest):
    def supervise(self, keys, top="", more="", sections=""):
        self.supervisor = Supervisor(self, f'threads = 2\n{top}\nkeys "web" {{ {more} }}\n{sections}', keys)
        self.path = self.supervisor.path
        self.immured = self.supervisor.start()
        return self.immured

    def assert_signs(self, client, key):
        reply = client.sign(key.id, wire.ECDSA_SHA256, MESSAGE)
        self.assertEqual(reply.type, wire.SIGNED, repr(reply))
        return reply

    def test_thousands(self):
        keys = write_keys(self.directory, KEYS)
        self.supervise(keys, top="key-cache = 50")
        self.assertIn(f"ready: {KEYS} keys", self.immured.log())
        client = self.connect()
        listing = client.listing()
        self.assertEqual({id for id, _, _, _ in listing}, {key.id for key in keys})
        self.assertEqual(len(listing), KEYS)
        self.assertEqual({tuple(schemes) for _, _, _, schemes in listing}, {(0x0403, 0x0503, 0x0603)})
        for key in keys[::3]:
            self.assert_signs(client, key)
        for key in keys[:100]:
            self.assert_signs(client, key)
        self.assertEqual(client.stats()[2], KEYS)


if __name__ == "__main__":
    harness.main()

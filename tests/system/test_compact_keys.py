"""Thousands of keys in compact form, which a supervisor hands over: what they cost, that each
signs, that a wrong or damaged one disturbs no other, that few are decoded at a time, and that they
come and go at run time."""

import os
import threading

import harness
import keyparts
import wire
from certificates import certificate
from immured import ImmuredTest, Key, openssl
from key_supervisor import PRIVATE, PUBLIC, CompactKey, Supervisor, pem, write_keys

KEYS = harness.scaled(4000, 400)
MESSAGE = wire.tls13_message()
UNKNOWN_KEY, SIGNING = 32, 38


class Load(threading.Thread):
    """A client that signs with the keys in turn until it is stopped, or fails."""

    def __init__(self, test, keys):
        super().__init__()
        self.client, self.keys = test.connect(), keys
        self.signed, self.failure, self.stopped = 0, None, False
        self.start()

    def run(self):
        try:
            while not self.stopped:
                key = self.keys[self.signed % len(self.keys)]
                reply = self.client.sign(key.id, wire.ECDSA_SHA256, MESSAGE)
                assert reply.type == wire.SIGNED, repr(reply)
                self.signed += 1
        except (OSError, AssertionError, wire.Closed) as failure:
            self.failure = failure

    def stop(self):
        """What has failed, or None."""
        self.stopped = True
        self.join()
        return self.failure


class CompactKeys(ImmuredTest):
    def supervise(self, keys, top="", more="", sections="", files=()):
        text = f'threads = 2\n{top}\nkeys "web" {{ {more} }}\n{sections}'
        self.supervisor = Supervisor(self, text, keys, files)
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


    def test_each_kind_and_form(self):
        """PKCS #8 and the traditional forms, combined with certificates, and encrypted."""
        kinds = [Key(kind) for kind in ("rsa-2048", "p-256", "p-384", "p-521", "ed25519")]
        keys = [self.compact(key, self.read(key.file)) for key in kinds]
        for kind, command in (("rsa-3072", ["rsa", "-traditional"]), ("p-256", ["ec"])):
            key = Key(kind, serial=7)
            keys.append(self.compact(key, openssl(*command, "-in", key.file).stdout.decode()))
        key = Key("p-384", serial=8)
        chain = self.read(certificate("p-384", serial=8).chain)
        keys.append(self.compact(key, chain + self.read(key.file)))
        key = Key("p-256", serial=9)
        keys.append(self.compact(key, openssl("pkcs8", "-topk8", "-in", key.file, "-passout",
                                              "pass:correct horse").stdout.decode()))
        phrase = os.path.join(self.directory, "phrase")
        with open(phrase, "w", encoding="utf-8") as file:
            file.write("correct horse\n")
        self.supervise(keys, more=f'pass-phrase-file = "{phrase}"', files=[phrase])
        self.assertIn(f"ready: {len(keys)} keys", self.immured.log())
        client = self.connect()
        for _ in range(2):
            for key in keys:
                self.assert_served(client, key.key)

    def compact(self, key, text):
        path = os.path.join(self.directory, f"{key.id.hex()}.key")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        compact = CompactKey(path, key.spki, None)
        compact.key = key
        return compact

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def test_wrong_and_damaged_keys_disturb_no_other(self):
        keys = write_keys(self.directory, 30)
        keys[1].id = bytes(32)  # its certificate says so
        damaged = PRIVATE + keys[0].secret + PUBLIC + keys[2].spki[-64:]  # halves that do not agree
        self.write(keys[2], pem("PRIVATE KEY", damaged))
        self.write(keys[3], pem("PRIVATE KEY", PRIVATE + bytes(20)))
        self.write(keys[4], "no key\n")
        os.unlink(keys[5].path)
        keys[6].id = keys[7].id  # two files of one key, it is said
        self.supervise(keys)
        log = self.immured.log()
        self.assertIn("ready: 26 keys", log)
        for key, why in ((keys[3], "its key is damaged, or none of those that are taken"),
                         (keys[4], "it holds no private key in PEM form"), (keys[5], "No such file")):
            self.assertRegex(log, f"{key.path}: {why}.*; the key is left out")
        client = self.connect()
        for _ in range(3):
            for key, why in ((keys[1], "another public key"), (keys[2], "does not make good signatures"),
                             (keys[6], "another public key")):
                reply = client.sign(key.id, wire.ECDSA_SHA256, MESSAGE)
                self.assert_error(reply, SIGNING)
                self.assertEqual(self.immured.log().count(f'key "{key.path}": '), 1, self.immured.log())
                self.assertRegex(self.immured.log(), f'{key.path}": .*{why}.*; it does not sign')
        listed = {id for id, _, _, _ in client.listing()}
        for key in keys[8:]:
            self.assert_signs(client, key)
            self.assertIn(key.id, listed)
        self.assertNotIn(keys[2].id, listed)

    def write(self, key, text):
        with open(key.path, "w", encoding="ascii") as file:
            file.write(text)

    def test_a_cache_that_is_too_small_for_the_load(self):
        keys = write_keys(self.directory, 200)
        self.supervise(keys, top="key-cache = 1")
        loads = [Load(self, keys[at:] + keys[:at]) for at in (0, 0, 50, 101)]
        harness.wait_until(lambda: all(load.signed > 4 * len(keys) for load in loads), "each key to sign")
        self.assertEqual([load.stop() for load in loads], [None] * len(loads))
        self.assert_many_in_flight(keys)

    def assert_many_in_flight(self, keys):
        """One client asks for all keys before it reads."""
        client = self.connect()
        for number, key in enumerate(keys + keys):
            client.send(wire.sign(number + 1, key.id, wire.ECDSA_SHA256, MESSAGE))
        replies = {reply.id: reply.type for reply in (client.receive() for _ in range(2 * len(keys)))}
        self.assertEqual(replies, {number + 1: wire.SIGNED for number in range(2 * len(keys))})

    def test_keys_come_and_go_under_load(self):
        keys = write_keys(self.directory, 120)
        stay, come, go = keys[:40], keys[40:80], keys[80:]
        self.supervise(stay + go, top="key-cache = 10")
        loads = [Load(self, stay) for _ in range(3)]
        client = self.connect()
        for added, removed in zip(come, go):
            self.assert_signs(client, removed)
            self.assertEqual(self.supervisor.add(added)[:1], b"C")
            self.assertEqual(self.supervisor.remove(removed)[:1], b"C")
            self.assert_signs(client, added)
            self.assert_error(client.sign(removed.id, wire.ECDSA_SHA256, MESSAGE), UNKNOWN_KEY)
        self.assertEqual([load.stop() for load in loads], [None] * len(loads))
        self.assert_in_force(stay + come)

    def assert_in_force(self, keys):
        client = self.connect()
        self.assertEqual(sorted(id for id, _, _, _ in client.listing()), sorted(key.id for key in keys))
        for key in keys:
            self.assert_signs(client, key)

    def test_the_next_key_process_has_the_keys_in_force(self):
        keys = write_keys(self.directory, 60)
        self.supervise(keys[:50])
        for key in keys[50:]:
            self.assertEqual(self.supervisor.add(key)[:1], b"C")
        for key in keys[:5] + keys[55:]:
            self.assertEqual(self.supervisor.remove(key)[:1], b"C")
        for key in keys:
            os.unlink(key.path)
        for _ in range(2):
            self.supervisor.kill()
            self.supervisor.start()
            self.assert_in_force(keys[5:55])
        self.write_again(keys[55])
        self.assertEqual(self.supervisor.add(keys[55])[:1], b"C")
        self.assert_in_force(keys[5:56])

    def write_again(self, key):
        self.write(key, pem("PRIVATE KEY", PRIVATE + key.secret + PUBLIC + key.spki[-64:]))

    def test_changes_that_are_refused(self):
        keys = write_keys(self.directory, 4)
        self.supervise(keys[:2])
        self.assertEqual(self.supervisor.remove(keys[2]), b"Nthere is no such key")
        self.write(keys[2], "no key\n")
        self.assertRegex(self.supervisor.add(keys[2]).decode(), "^N.*it holds no private key in PEM form")
        wrong = CompactKey(keys[3].path, keys[3].spki, None)
        wrong.id = bytes(32)
        self.assertRegex(self.supervisor.add(wrong).decode(), "^N.*it is not the key of the certificate")
        self.supervisor.section = "other"
        self.assertRegex(self.supervisor.add(keys[3]).decode(), "^N.*names no key of a section")
        self.supervisor.section = "web"
        self.assertEqual(self.supervisor.add(keys[0])[:1], b"C", "it is there already")
        self.assertEqual(self.supervisor.add(keys[3])[:1], b"C")
        self.assert_in_force([keys[0], keys[1], keys[3]])

    def test_a_kind_that_is_new_at_run_time(self):
        self.supervise(write_keys(self.directory, 2))
        for kind in ("rsa-2048", "ed25519"):
            key = Key(kind)
            self.assertEqual(self.supervisor.add(self.compact(key, self.read(key.file)))[:1], b"C")
            self.assert_served(self.connect(), key)

    def test_a_supervisor_that_ends_its_side(self):
        keys = write_keys(self.directory, 2)
        self.supervise(keys)
        self.supervisor.socket.close()
        self.assert_in_force(keys)
        self.assertTrue(self.immured.running())

    def test_a_key_of_a_section_of_its_own_stays_there(self):
        key = Key("p-256")
        keys = write_keys(self.directory, 2) + [self.compact(key, self.read(key.file))]
        self.supervise(keys, sections=f'key "own" {{ file = "{key.file}" policy = any }}\n', files=[key.file])
        client = self.connect()
        names = {id: name for id, name, _, _ in client.listing()}
        self.assertEqual(names[key.id], "own")
        self.assertEqual(len(names), 3)
        self.assert_served(client, key)

    @harness.needs_root("to read the memory of the program")
    @harness.not_sanitized("the sanitizer's own memory is terabytes of address space")
    def test_no_key_lies_outside_of_secret_memory(self):
        keys = write_keys(self.directory, 50)
        self.supervise(keys, top="key-cache = 5")
        client = self.connect()
        for key in keys[:30]:
            self.assert_signs(client, key)
        gone = keys[:10]
        for key in gone:
            self.assertEqual(self.supervisor.remove(key)[:1], b"C")
        for key in keys[20:]:
            self.assert_signs(client, key)  # with what others have left behind in the stacks
        needles = {f"{number},{order}": bytes(key.secret[::step])
                   for number, key in enumerate(keys) for order, step in (("big", 1), ("little", -1))}
        found = {int(name.split(",")[0]) for name in keyparts.search(self.immured.pid, needles)}
        self.assertFalse(found & set(range(len(gone))), "what was removed was wiped")
        if "ORDINARY" not in self.immured.log():
            self.assertEqual(found, set())

    def test_a_short_time_for_a_long_list(self):
        """LIST is paid for by what its answer holds: a client may list more than once a second."""
        keys = write_keys(self.directory, KEYS)
        self.supervise(keys)
        client = self.connect()
        for _ in range(3):
            self.assertEqual(len(client.listing()), KEYS)


if __name__ == "__main__":
    harness.main()

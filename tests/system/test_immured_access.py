"""Who may use which key of immured, and how often."""

import base64
import contextlib
import json
import os
import subprocess

import harness
import wire
from immured import Key
from service import ServiceTest, section


class Access(ServiceTest):
    """Who may use which key. Groups are 6xxxx, users 5xxxx."""

    ALICE, BOB, CAROL = 50001, 50002, 50003
    STAFF, GUESTS = 60001, 60002

    def ask_as(self, uid, gid, groups, *keys):
        """What a process with these ids receives: the names in its list of keys, and the error code
        of a signature with each key (0: success); or the one error at the connection."""
        reading, writing = os.pipe()
        os.chmod(self.directory, 0o711)
        child = os.fork()
        if child == 0:
            try:
                os.setgroups(groups)
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                with wire.Client.connect(self.path, greet=False, timeout=harness.LIMIT) as client:
                    with contextlib.suppress(OSError):  # it need not wait for HELLO to refuse
                        client.send(wire.hello())
                    reply = client.receive()
                    if reply.type == wire.ERROR:
                        said = reply.error[0]
                    else:
                        replies = [client.sign(key.id, key.tls13_scheme(), wire.tls13_message())
                                   for key in keys]
                        said = ([name for name, _, _ in client.keys()],
                                [reply.error if reply.type == wire.ERROR else [0, ""]
                                 for reply in replies])
                os.write(writing, json.dumps(said).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        said = json.loads(answer)
        return said if isinstance(said, int) else (said[0], [code for code, _ in said[1]], said[1])

    @harness.needs_root("to be several users")
    def test_users_and_groups(self):
        one, two, three = Key("p-256"), Key("ed25519"), Key("p-384")
        keys = (one, two, three)
        self.start(section("one", one),
                   section("two", two, f"allow-users = {{{self.BOB}}}"),
                   section("three", three, f"allow-groups = {{{self.GUESTS}}}"),
                   top=f"allow-users = {{{self.ALICE}}} allow-groups = {{{self.STAFF}}}")
        refused = wire.E_PEER
        for uid, gid, groups, names, codes in (
            (0, 0, [], ["one", "two", "three"], [0, 0, 0]),
            (self.ALICE, 7, [], ["one"], [0, refused, refused]),
            (self.CAROL, self.STAFF, [], ["one"], [0, refused, refused]),
            (self.CAROL, 7, [8, self.STAFF, 9], ["one"], [0, refused, refused]),
            (self.BOB, 7, [], ["two"], [refused, 0, refused]),
            (self.BOB, 7, [self.STAFF, self.GUESTS], ["one", "two", "three"], [0, 0, 0]),
            (self.CAROL, 7, [self.GUESTS], ["three"], [refused, refused, 0]),
            (self.CAROL, 7, [*range(70000, 70100), self.GUESTS], ["three"], [refused, refused, 0]),
        ):
            with self.subTest(uid=uid, gid=gid, groups=groups):
                said = self.ask_as(uid, gid, groups, *keys)
                self.assertEqual(said[:2], (names, codes))
        for uid, gid, groups in ((self.CAROL, 7, []), (self.STAFF, 7, []),
                                 (7, self.BOB, [self.ALICE])):
            self.assertEqual(self.ask_as(uid, gid, groups, *keys), wire.E_PEER)
        texts = self.ask_as(self.ALICE, 7, [], two)[2]
        self.assertNotIn("two", texts[0][1], "the name of the key is not for who may not use it")
        client = self.connect()
        self.assertEqual(client.stats()[5], 3, "refused at the door")

    @harness.needs_root("to be another user")
    def test_reload_takes_a_right_away(self):
        key = Key("p-256")
        allowed = section("k", key, f"allow-users = {{{self.ALICE}, {self.BOB}}}")
        self.start(allowed)
        self.assertEqual(self.ask_as(self.BOB, 7, [], key)[:2], (["k"], [0]))
        self.reload(section("k", key, f"allow-users = {{{self.ALICE}}}"))
        self.assertEqual(self.ask_as(self.BOB, 7, [], key), wire.E_PEER)
        self.assertEqual(self.ask_as(self.ALICE, 7, [], key)[:2], (["k"], [0]))

    def test_names_that_are_gone(self):
        """A user that has been removed does not prevent the start."""
        for directive, what in (("allow-users", "user"), ("allow-groups", "group")):
            for text in (section("k", Key("p-256"), f"{directive} = {{no-such-name}}"),
                         f"{directive} = {{no-such-name}}\n" + section("k", Key("p-256"))):
                self.configure(text)
                run = subprocess.run(
                    [harness.program_path("immured"), "--test", "--config", self.config],
                    capture_output=True, text=True, timeout=harness.LIMIT, check=False)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertIn(f"{directive}: no such {what}, so that nobody is let in by it: no-such-name",
                              run.stderr)

    def test_numbers_that_are_none(self):
        for number in ("4294967295", "-1", "99999999999999999999"):
            self.configure(section("k", Key("p-256"), f"allow-users = {{{number}}}"))
            run = subprocess.run(
                [harness.program_path("immured"), "--test", "--config", self.config],
                capture_output=True, text=True, timeout=harness.LIMIT, check=False)
            self.assertEqual(run.returncode, 1, run.stderr)
            self.assertIn(f"allow-users: not a number of a user: {number}", run.stderr)

    @harness.needs_root("to be several users")
    def test_a_list_of_those_who_are_gone_lets_nobody_in(self):
        """The key must not be treated as if it had no list of its own."""
        one, two = Key("p-256"), Key("ed25519")
        self.start(section("one", one), section("two", two, "allow-users = {no-such-name}"),
                   top=f"allow-users = {{{self.ALICE}, no-such-name}}")
        self.assertEqual(self.ask_as(self.ALICE, 7, [], one, two)[:2], (["one"], [0, wire.E_PEER]))
        self.reload(section("one", one), top="allow-users = {no-such-name}")
        self.assertEqual(self.ask_as(self.ALICE, 7, [], one), wire.E_PEER)

    @harness.needs_root("to be another user")
    def test_many_keys_are_listed_in_pages(self):
        """Positions count only the keys that the client may see, over several frames."""
        header = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8, Ed25519
        sections, name, count = [], "n" * 250, 500
        for number in range(count):
            path = os.path.join(self.directory, f"{number}.pem")
            with open(path, "wb") as file:
                file.write(b"-----BEGIN PRIVATE KEY-----\n"
                           + base64.b64encode(header + os.urandom(32))
                           + b"\n-----END PRIVATE KEY-----\n")
            only = f"allow-users = {{{self.ALICE}}}" if number % 2 else ""
            sections.append(f'key "{name} {number}" {{ file = "{path}" {only} }}\n')
        self.start(*sections)
        self.assertEqual(len(self.connect().keys()), count)
        self.assertEqual(self.ask_as(self.ALICE, 7, [])[0],
                         [f"{name} {number}" for number in range(1, count, 2)])


class Rates(ServiceTest):
    def sign_some(self, client, key, count):
        """How many of so many requests were signed; all others were refused as BUSY."""
        message = wire.tls13_message()
        client.send(b"".join(wire.sign(id, key.id, key.tls13_scheme(), message)
                             for id in range(1, count + 1)))
        replies = [client.receive() for _ in range(count)]
        refused = [reply.error for reply in replies if reply.type == wire.ERROR]
        busy = (wire.E_BUSY, "the client asks more often than its rate allows")
        self.assertEqual(set(refused) - {busy}, set())
        return count - len(refused)

    def test_of_a_key(self):
        slow, free = Key("p-256"), Key("ed25519")
        self.start(section("slow", slow, 'rate = "1/m burst 5"'), section("free", free))
        client, second = self.connect(), self.connect()
        self.assertEqual(self.sign_some(client, slow, 20), 5)
        self.assertEqual(self.sign_some(client, free, 200), 200)
        self.assertEqual(self.sign_some(second, slow, 20), 0, "a client is a user")
        client.close()
        second.close()
        again = self.connect()
        self.assertEqual(self.sign_some(again, slow, 20), 0, "connecting again fills no bucket")
        self.assertEqual(again.stats()[10], 55, "counted as busy")

    def test_of_a_client(self):
        one, two = Key("p-256"), Key("ed25519")
        self.start(section("one", one), section("two", two, 'rate = "1/m burst 4"'),
                   top='rate = "1/m burst 10"')
        client = self.connect()
        self.assertEqual(self.sign_some(client, two, 8), 4)
        self.assertEqual(self.sign_some(client, one, 20), 6)

    def test_it_comes_back(self):
        key = Key("p-256")
        self.start(section("k", key, 'rate = "20/s burst 1"'))
        client = self.connect()
        self.assertGreaterEqual(self.sign_some(client, key, 10), 1)
        harness.wait_until(lambda: self.sign_some(client, key, 1) == 1, "the next token")

    @harness.needs_root("to be two users")
    def test_of_each_client(self):
        key = Key("p-256")
        self.start(section("k", key, 'rate = "1/m burst 5" allow-users = {50001}'))
        client = self.connect()
        self.assertEqual(self.sign_some(client, key, 20), 5)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setresuid(50001, 50001, 50001)
                with wire.Client.connect(self.path, timeout=harness.LIMIT) as other:
                    status = 0 if self.sign_some(other, key, 20) == 5 else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


if __name__ == "__main__":
    harness.main()

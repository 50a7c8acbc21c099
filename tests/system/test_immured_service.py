"""
immured as a service: its supervisor, what it tells the service manager, and keys that come and go
while clients go on.
"""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import backends
import clients
import harness
import proc
import wire
from certificates import certificate
from immured import ImmuredTest, Key, key_process


LAUNCH = """\
import fcntl, json, os, sys
program, config, numbers, pid = *sys.argv[1:3], *map(json.loads, sys.argv[3:])
held = [fcntl.fcntl(each, fcntl.F_DUPFD, 64) for each in numbers]
for place, each in enumerate(held):
    os.dup2(each, 3 + place)
    os.close(each)
if held:
    os.environ |= {"LISTEN_FDS": str(len(held)), "LISTEN_PID": str(pid or os.getpid())}
os.execv(program, [program, "--config", config])
"""


def section(name, key, more=""):
    return f'key "{name}" {{ file = "{key.file}" {more} }}\n'


class Load:
    """sign-load, and what it last reported."""

    def __init__(self, test, key):
        self.program = test.start_program("sign-load", test.path, key.id.hex())
        test.assertEqual(key.kind, "p-256")

    def report(self):
        lines = self.program.log().splitlines()
        return json.loads(lines[-1]) if lines else {"signed": 0, "failed": 0, "error": ""}

    def wait_for_more(self, count=20):
        """Until it has made so many more signatures."""
        wanted = self.report()["signed"] + count
        harness.wait_until(lambda: self.report()["signed"] >= wanted, f"{count} more signatures")

    def stop(self):
        """Ends it and returns its last report."""
        self.program.signal(signal.SIGTERM)
        self.program.wait()
        return self.report()


class ServiceTest(ImmuredTest):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, "immured.sock")
        self.config = os.path.join(self.directory, "immured.conf")

    def configure(self, *sections, top=""):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.path}"\nthreads = 1\n{top}\n{"".join(sections)}')

    def start(self, *sections, top=""):
        self.configure(*sections, top=top)
        self.immured = self.start_program("immured", "--config", self.config)
        harness.wait_until(lambda: self.count("serves") == 1 or not self.immured.running(),
                           "immured to serve")
        self.assertTrue(self.immured.running(), self.immured.log())
        return self.immured

    def count(self, text):
        return self.immured.log().count(text)

    def reload(self, *sections, top="", said="serves"):
        """HUP with this configuration, until it is in force or, as `said`, refused."""
        before = self.count(said)
        self.configure(*sections, top=top)
        self.immured.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.count(said) > before, said)


class Supervision(ServiceTest):
    def test_what_the_supervisor_is_not(self):
        """No key file, no client, no thread, no second program."""
        key = Key("p-256")
        self.start(section("k", key))
        client = self.connect()
        self.assert_served(client, key)
        self.assertEqual(proc.children(self.immured.pid), [key_process(self.immured)])
        self.assertEqual(proc.threads(self.immured.pid), 1)
        self.assertEqual(proc.program(key_process(self.immured)), "immured")
        self.assertEqual(client.stats()[3], 1, "the supervisor's own session has ended")
        if os.geteuid() == 0:
            held = [os.readlink(f"/proc/{self.immured.pid}/fd/{each}")
                    for each in os.listdir(f"/proc/{self.immured.pid}/fd")]
            self.assertFalse([each for each in held if each.endswith(".key")], held)
            self.assertEqual(len([each for each in held if each.startswith("socket:")]), 1, held)

    def test_killed_under_load(self):
        key = Key("p-256")
        self.start(section("k", key))
        load = Load(self, key)
        for serves in range(2, 6):
            load.wait_for_more()
            os.kill(key_process(self.immured), signal.SIGKILL)
            harness.wait_until(lambda serves=serves: self.count("serves") == serves, "the next one")
        load.wait_for_more()
        report = load.stop()
        self.assertEqual(report["failed"], 0, report)
        self.assertEqual(self.count("was killed by signal 9"), 4)
        pauses = [int(each) for each in re.findall(r"started again in (\d+) ms", self.immured.log())]
        self.assertEqual(pauses, [10, 20, 40, 80], "it backs off")

    def test_the_supervisor_killed(self):
        key = Key("p-256")
        self.start(section("k", key)).expected_status = -signal.SIGKILL
        pid = key_process(self.immured)
        self.immured.signal(signal.SIGKILL)
        self.immured.wait()
        self.start(section("k", key))  # on the same path, at once
        self.assert_served(self.connect(), key)
        harness.wait_until(lambda: not proc.alive(pid), "the old key process to follow")

    def test_a_key_process_that_cannot_start_again(self):
        """The key file is gone when it is killed: tried again until it is back."""
        path = os.path.join(self.directory, "moved.key")
        key = Key("p-256")
        os.symlink(key.file, path)
        self.start(f'key "k" {{ file = "{path}" }}\n')
        os.unlink(path)
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count("started again in") >= 3, "three attempts")
        self.assertIn(f'key "k": {path}: No such file', self.immured.log())
        os.symlink(key.file, path)
        harness.wait_until(lambda: self.count("serves") == 2, "the key process")
        self.assert_served(self.connect(), key)

    def test_the_first_start_fails(self):
        self.configure('key "k" { file = "/nonexistent" }\n')
        immured = self.start_program("immured", "--config", self.config)
        immured.expected_status = 1
        self.assertEqual(immured.wait(), 1)
        self.assertEqual(immured.log().count(" error: "), 1, immured.log())

    def test_interrupt(self):
        """From a terminal it goes to all of the process group."""
        key = Key("p-256")
        self.start(section("k", key))
        client = self.connect()
        os.killpg(self.immured.pid, signal.SIGINT)
        self.assertRaises(wire.Closed, client.receive)
        self.assertEqual(self.immured.wait(), 0)

    def test_hup_to_all_of_the_group(self):
        key = Key("p-256")
        self.start(section("k", key))
        os.killpg(self.immured.pid, signal.SIGHUP)
        harness.wait_until(lambda: self.count("serves") == 2, "the next key process")
        self.assertEqual(self.count("was killed"), 0)
        self.assert_served(self.connect(), key)


class Reload(ServiceTest):
    def test_many_under_load(self):
        """Each brings a key or takes it away again; every signature is made."""
        key, other = Key("p-256"), Key("ed25519")
        self.start(section("k", key))
        load = Load(self, key)
        for number in range(harness.scaled(100, 20)):
            self.reload(section("k", key), *([section("other", other)] if number % 2 == 0 else []))
        load.wait_for_more()
        report = load.stop()
        self.assertEqual(report["failed"], 0, report)
        harness.wait_until(lambda: len(proc.children(self.immured.pid)) == 1, "the old ones to go")
        self.assertEqual(self.count("not fully answered"), 0)
        self.assertEqual(self.count("it is killed"), 0)

    def test_through_the_proxy(self):
        site = certificate("p-256")
        self.start(section("k", Key("p-256")))
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([site], backend.address, keys=f'socket = "{self.path}"')
        load = clients.HandshakeLoad(proxy.port)
        for number in range(5):
            done = load.done
            harness.wait_until(lambda done=done: load.done > done + 10, "handshakes under way")
            self.reload(section(f"named {number}", Key("p-256")))
        load.stop()
        self.assertEqual(load.failures, [])

    def test_many_hups_at_once(self):
        key = Key("p-256")
        self.start(section("k", key))
        for _ in range(20):
            self.immured.signal(signal.SIGHUP)
            time.sleep(0.005)
        self.configure(section("the last", key))
        self.immured.signal(signal.SIGHUP)

        def names():
            with contextlib.suppress(wire.Closed), self.connect() as client:
                return [name for name, _, _ in client.keys()]
            return []  # it left while it was asked
        harness.wait_until(lambda: names() == ["the last"], "the last configuration")

    def test_a_key_is_added_and_removed(self):
        key, other = Key("p-256"), Key("p-256", serial=2)
        self.assertNotEqual(key.id, other.id)
        self.start(section("k", key))
        load = Load(self, other)
        harness.wait_until(lambda: load.report()["failed"] > 3, "refusals")
        self.assertEqual(load.report()["signed"], 0)
        self.assertEqual(load.report()["error"], "no key with this id")
        self.reload(section("k", key), section("other", other))
        load.wait_for_more()
        self.reload(section("k", key))
        failed = load.report()["failed"]
        harness.wait_until(lambda: load.report()["failed"] > failed + 3, "refusals again")
        self.assertEqual(load.report()["error"], "no key with this id")
        client = self.connect()
        self.assert_served(client, key)
        self.assert_error(client.sign(other.id, wire.ECDSA_SHA256, wire.tls13_message()),
                          wire.E_UNKNOWN_KEY)

    def test_a_key_is_replaced(self):
        key, next_key = Key("p-256"), Key("p-256", serial=2)
        self.start(section("site", key))
        self.reload(section("site", next_key))
        client = self.connect()
        self.assertEqual([(name, spki) for name, spki, _ in client.keys()],
                         [("site", next_key.spki)])
        self.assert_served(client, next_key)

    def test_requests_of_the_old_keys_are_answered(self):
        key = Key("rsa-2048")
        text = section("k", key)
        self.configure(text, top='backend = "delay"')
        self.immured = self.start_program("immured-test", "--config", self.config)
        harness.wait_until(lambda: self.count("serves") == 1, "immured to serve")
        client, idle, count = self.connect(), self.connect(), 100
        client.send(b"".join(wire.sign(id, key.id, wire.RSA_PSS_SHA256, wire.tls13_message())
                             for id in range(1, count + 1)))
        harness.wait_until(lambda: idle.stats()[7] == count, "the requests to be taken")
        self.reload(section("another", Key("p-256")), top='backend = "delay"')
        for _ in range(count):
            self.assertEqual(client.receive().type, wire.SIGNED)
        self.assertRaises(wire.Closed, client.receive)

    def test_bad_configurations(self):
        key = Key("p-256")
        self.start(section("k", key))
        client, pid = self.connect(), key_process(self.immured)
        refused = "is not taken over; the running configuration goes on"
        for text, said in (("bogus = 1\n", "no such option 'bogus'"),
                           ('key "k" { file = "/nonexistent" }\n', "/nonexistent: No such file"),
                           (section("k", key, "allow-users = {nobody-of-this-name}"),
                            "allow-users: no such user: nobody-of-this-name")):
            before = self.count(" error: ")
            self.reload(text, said=refused)
            self.assertIn(said, self.immured.log())
            self.assertEqual(self.count(" error: "), before + 2, self.immured.log())
            self.assert_served(client, key)
        harness.wait_until(lambda: proc.children(self.immured.pid) == [pid], "the others to go")
        os.unlink(self.config)
        before = self.count(refused)
        self.immured.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.count(refused) > before, refused)
        self.assert_served(client, key)
        self.reload(section("k", key))
        self.assertRaises(wire.Closed, client.receive)

    def test_another_path_is_for_the_next_start(self):
        key = Key("p-256")
        self.start(section("k", key))
        old = self.path
        self.path += ".new"
        self.reload(section("k", key))
        self.assertIn("listen:", self.immured.log())
        self.assertFalse(os.path.exists(self.path))
        self.path = old
        self.assert_served(self.connect(), key)

    def test_the_socket_opens_to_others(self):
        key = Key("p-256")
        self.start(section("k", key))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.reload(section("k", key, "allow-groups = {7}"))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o666)
        self.reload(section("k", key))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)


class ServiceManager(ServiceTest):
    """Played by the test."""

    def listener(self):
        listener = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(self.path)
        listener.listen(16)
        return listener

    def notify_socket(self, name):
        manager = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(name)
        manager.settimeout(harness.LIMIT)
        return manager

    def run_as_service(self, *descriptors, pid=None, environment=None):
        """As systemd starts a service: descriptors from 3 on, and variables that say so."""
        numbers = [each.fileno() for each in descriptors]
        self.log_path = os.path.join(self.directory, "service.log")
        with open(self.log_path, "wb") as log:
            immured = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, harness.program_path("immured"), self.config,
                 json.dumps(numbers), json.dumps(pid)],
                pass_fds=numbers, stdin=subprocess.DEVNULL, stderr=log,
                env={**os.environ, **(environment or {})})
        self.addCleanup(immured.wait, harness.LIMIT)
        self.addCleanup(immured.terminate)
        return immured

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def test_socket_activation(self):
        key, listener = Key("p-256"), self.listener()
        self.configure(section("k", key))
        waiting = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        waiting.connect(self.path)
        immured = self.run_as_service(listener)
        self.assert_served(wire.Client(waiting, timeout=harness.LIMIT), key)
        self.assertIn("listen has no effect", self.log())
        os.kill(max(proc.children(immured.pid)), signal.SIGKILL)
        self.assert_served(self.connect(), key)
        immured.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.log().count("serves") == 3, "the reload")
        self.assert_served(self.connect(), key)
        immured.terminate()
        self.assertEqual(immured.wait(harness.LIMIT), 0)
        # the service manager keeps the socket for the next
        waiting = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        waiting.connect(self.path)
        self.run_as_service(listener)
        self.assert_served(wire.Client(waiting, timeout=harness.LIMIT), key)

    def test_descriptors_that_are_something_else(self):
        self.configure(section("k", Key("p-256")))
        stream = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        datagrams = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        network = self.own(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        network.bind(("127.0.0.1", 0))
        network.listen(1)
        listener = self.listener()
        for passed in ([stream], [datagrams], [network], [listener, listener]):
            immured = self.run_as_service(*passed)
            self.assertEqual(immured.wait(harness.LIMIT), 1)
            self.assertIn("one listening unix stream socket is expected", self.log())

    def test_descriptors_of_another_process(self):
        key = Key("p-256")
        self.configure(section("k", key))
        other = self.own(open(self.config, "rb"))
        self.run_as_service(other, pid=1)
        harness.wait_until(lambda: "serves" in self.log(), "immured to serve")
        self.assert_served(self.connect(), key)

    def test_notifications(self):
        key = Key("p-256")
        name = os.path.join(self.directory, "notify")
        for address, variable in ((name, name), ("\0" + name, "@" + name)):
            manager = self.notify_socket(address)
            self.configure(section("k", key))
            before = time.monotonic_ns() // 1000
            immured = self.run_as_service(environment={"NOTIFY_SOCKET": variable})

            def said():
                return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())
            first = said()
            self.assertEqual((first["READY"], first["MAINPID"]), ("1", str(immured.pid)))
            self.assert_served(self.connect(), key)
            pid = proc.children(immured.pid)[0]
            self.assertIn(str(pid), first["STATUS"])

            immured.send_signal(signal.SIGHUP)
            reloading = said()
            self.assertEqual(reloading["RELOADING"], "1")
            self.assertGreater(int(reloading["MONOTONIC_USEC"]), before)
            ready = said()
            self.assertEqual(ready["READY"], "1")
            self.assertNotIn(str(pid), ready["STATUS"])

            self.configure("bogus = 1\n")
            immured.send_signal(signal.SIGHUP)
            self.assertEqual(said()["RELOADING"], "1")
            self.assertEqual(said(), ready, "the old one goes on")

            immured.terminate()
            self.assertEqual(said(), {"STOPPING": "1"})
            self.assertEqual(immured.wait(harness.LIMIT), 0)

    def test_nobody_at_the_notify_socket(self):
        key = Key("p-256")
        self.configure(section("k", key))
        self.run_as_service(environment={"NOTIFY_SOCKET": os.path.join(self.directory, "none")})
        harness.wait_until(lambda: "NOTIFY_SOCKET: " in self.log(), "the warning")
        self.assert_served(self.connect(), key)


class Access(ServiceTest):
    """Who may use which key. Groups are 6xxxx, users 5xxxx."""

    ALICE, BOB, CAROL = 50001, 50002, 50003
    STAFF, GUESTS = 60001, 60002

    def ask_as(self, uid, gid, groups, *keys):
        """What a process of these ids hears: the names in its list of keys, and the error code of a
        signature with each key (0: it was made); or the one error at the door."""
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
        for uid, gid, groups in ((self.CAROL, 7, []), (self.STAFF, 7, []), (7, self.BOB, [self.ALICE])):
            self.assertEqual(self.ask_as(uid, gid, groups, *keys), wire.E_PEER)
        texts = self.ask_as(self.ALICE, 7, [], two)[2]
        self.assertEqual(texts[0][1], f'uid {self.ALICE} may not use key "two"')
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

    def test_names(self):
        for directive, what in (("allow-users", "user"), ("allow-groups", "group")):
            for text in (section("k", Key("p-256"), f"{directive} = {{no-such-name}}"),
                         f"{directive} = {{no-such-name}}\n" + section("k", Key("p-256"))):
                self.configure(text)
                run = subprocess.run(
                    [harness.program_path("immured"), "--test", "--config", self.config],
                    capture_output=True, text=True, timeout=harness.LIMIT, check=False)
                self.assertEqual(run.returncode, 1)
                self.assertIn(f"{directive}: no such {what}: no-such-name", run.stderr)

    @harness.needs_root("to be another user")
    def test_many_keys_are_listed_in_pages(self):
        """Positions count what the client may see, over several frames."""
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
        self.assertEqual(set(refused) - {(wire.E_BUSY,
                                          "the client asks more often than its rate allows")}, set())
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

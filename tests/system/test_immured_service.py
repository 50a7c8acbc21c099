"""
immured as a service: its supervisor, what it tells the service manager, and keys that come and go
while clients go on.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from unittest import mock

import backends
import clients
import harness
import proc
import wire
from certificates import certificate, encrypted
from immured import Key, key_process
from service import Load, ServiceTest, section

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


class Supervision(ServiceTest):
    def test_what_the_supervisor_is_not(self):
        """The supervisor reads no key, is no client, starts no thread and runs no other program."""
        key = Key("p-256")
        self.start(section("k", key))
        client = self.connect()
        self.assert_served(client, key)
        self.assertEqual(proc.children(self.immured.pid), [key_process(self.immured)])
        self.assertEqual(proc.threads(self.immured.pid), 1)
        self.assertEqual(proc.program(key_process(self.immured)), "immured")
        harness.wait_until(lambda: client.stats()[3] == 1, "the end of the supervisor's own session")
        if os.geteuid() == 0:
            held = proc.opened(self.immured.pid)
            self.assertNotIn(key.file, held)
            self.assertEqual(held.count("/memfd:vault (deleted)"), 1, held)
            self.assertEqual(len([each for each in held if each.startswith("socket:")]), 1, held)
            held = proc.opened(key_process(self.immured))
            self.assertFalse([each for each in held if each.startswith(("/memfd", key.file))], held)

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
        for before, pause in zip([5, *pauses], pauses):
            self.assertIn(pause, (2 * before, 10), "it backs off, unless one has lived for a while")

    def test_signals_that_the_starter_ignored_and_blocked(self):
        """Otherwise it would notice neither the death of a key process nor HUP and TERM."""
        key = Key("p-256")
        self.start(section("k", key), starter=harness.DEAF)
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count("serves") == 2, "another key process")
        self.assert_served(self.connect(), key)
        self.reload(section("k", key))
        self.immured.signal(signal.SIGTERM)
        self.assertEqual(self.immured.wait(), 0)

    def test_the_supervisor_killed(self):
        key = Key("p-256")
        self.start(section("k", key)).expected_status = -signal.SIGKILL
        pid = key_process(self.immured)
        self.immured.signal(signal.SIGKILL)
        self.immured.wait()
        self.start(section("k", key))  # on the same path, at once
        self.assert_served(self.connect(), key)
        harness.wait_until(lambda: not proc.alive(pid), "the old key process to follow")

    def kill_key_process(self):
        """Until the next one serves."""
        before = self.count("serves")
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count("serves") > before, "the next key process")

    def test_started_again_without_the_files(self):
        """The files are gone, or others, when it is killed: the keys that were served stay until
        HUP."""
        path = os.path.join(self.directory, "its.key")
        key, other = Key("p-256"), Key("p-256", serial=2)
        text = f'key "k" {{ file = "{path}" }}\n'
        shutil.copy(key.file, path)
        self.start(text)
        os.unlink(path)
        os.unlink(self.config)
        self.kill_key_process()
        self.assert_served(self.connect(), key)
        self.reload(text, said="is not taken over")
        self.assertIn(f'immured.conf:4: key "k": {path}: No such file', self.immured.log())
        shutil.copy(other.file, path)
        self.kill_key_process()
        self.assert_served(self.connect(), key)
        self.reload(text)
        self.assert_served(self.connect(), other)
        self.kill_key_process()
        self.assert_served(self.connect(), other)

    def test_started_again_with_the_files_overwritten(self):
        """The files are not replaced, but written to or truncated: the contents that were read
        count."""
        key, other, locked = Key("p-256"), Key("p-256", serial=2), certificate("p-384")
        locked, phrase = encrypted(locked, "open sesame")
        path = os.path.join(self.directory, "its.key")
        shutil.copy(key.file, path)
        self.start(f'key "k" {{ file = "{path}" }}\n'
                   f'key "l" {{ file = "{locked.key}" pass-phrase-file = "{phrase}" }}\n')
        with open(other.file, "rb") as source, open(path, "r+b") as file:
            file.write(source.read())
        self.kill_key_process()
        self.assert_served(self.connect(), key)
        for each in (path, phrase, self.config):
            os.truncate(each, 0)
        self.kill_key_process()
        client = self.connect()
        self.assert_served(client, key)
        self.assertEqual([name for name, _, _ in client.keys()], ["k", "l"])

    def test_a_key_process_that_cannot_start_again(self):
        """Its program is missing when it is killed: the supervisor retries until it is back."""
        key = Key("p-256")
        path = os.path.join(self.directory, "immured")
        shutil.copy(harness.program_path("immured"), path)
        with mock.patch.object(harness, "BIN", self.directory):
            self.start(section("k", key))
        os.rename(path, path + ".away")
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count(f"no key process of {path}: No such file") >= 3, "three attempts")
        os.rename(path + ".away", path)
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
        descriptors = proc.descriptors(self.immured.pid)
        for number in range(harness.scaled(100, 20)):
            self.reload(section("k", key), *([section("other", other)] if number % 2 == 0 else []))
        load.wait_for_more()
        report = load.stop()
        self.assertEqual(report["failed"], 0, report)
        harness.wait_until(lambda: len(proc.children(self.immured.pid)) == 1, "the old ones to go")
        self.reload(section("k", key))
        self.assertEqual(proc.descriptors(self.immured.pid), descriptors)
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

    @harness.needs_root("/proc/PID/exe of a process that is not dumpable is root's")
    def test_a_new_program(self):
        """Another file at the program's path, as a package puts it there: HUP starts that one."""
        key = Key("p-256")
        path = os.path.join(self.directory, "immured")
        shutil.copy(harness.program_path("immured"), path)
        with mock.patch.object(harness, "BIN", self.directory):
            self.start(section("k", key))
        load = Load(self, key)
        shutil.copy(harness.program_path("immured"), path + ".new")
        os.rename(path + ".new", path)
        self.reload(section("k", key))
        load.wait_for_more()
        self.assertEqual(os.stat(f"/proc/{key_process(self.immured)}/exe").st_ino, os.stat(path).st_ino)
        self.assertEqual(load.stop()["failed"], 0)

    def test_many_hups_at_once(self):
        key = Key("p-256")
        self.start(section("k", key))
        for _ in range(20):
            self.immured.signal(signal.SIGHUP)
            time.sleep(0.005)
        self.configure(section("the last", key))
        self.immured.signal(signal.SIGHUP)

        def names():
            with contextlib.suppress(wire.Closed, OSError), self.connect() as client:
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
        # An error in the configuration is one line; the key process reports an error in a key.
        for text, said, lines in (
                ("bogus = 1\n", "unknown directive 'bogus'", 1),
                (section("k", key)[:-3], "this '{' is not closed", 1),
                (section("k", key, "policy = any policy = tls-server"), "'policy' is given twice", 1),
                ('key "k" { file = "/nonexistent" }\n', "/nonexistent: No such file", 2),
                (section("k", key) + section("other", key, "policy = any"),
                 'key "other" is the same key as "k"', 2)):
            before = self.count(" error: ")
            self.reload(text, said=refused)
            self.assertIn(said, self.immured.log())
            self.assertEqual(self.count(" error: "), before + lines, self.immured.log())
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

    def test_a_removed_socket_is_made_again(self):
        key = Key("p-256")
        self.start(section("k", key))
        client = self.connect()
        os.unlink(self.path)
        # A refused configuration changes nothing, and leaves no socket without a listener.
        self.reload('key "k" { file = "/nonexistent" }\n', said="is not taken over")
        self.assertFalse(os.path.exists(self.path))
        self.assert_served(client, key)
        self.reload(section("k", key))
        self.assertIn(f"listen: {self.path} was removed: it is made again", self.immured.log())
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assert_served(self.connect(), key)
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count("serves") == 3, "another key process")
        self.assert_served(self.connect(), key)
        self.reload(section("k", key))
        self.assertEqual(self.count("it is made again"), 2, "once for each HUP that found it gone")

    def test_what_has_taken_the_place_of_the_socket_is_left_alone(self):
        """Somebody with write access to the directory must not be able to have modes changed
        elsewhere."""
        key = Key("p-256")
        other = os.path.join(self.directory, "other")
        with open(other, "w", encoding="ascii"):
            os.chmod(other, 0o600)
        self.start(section("k", key))
        client = self.connect()
        for put in (os.symlink, os.link):
            os.unlink(self.path)
            put(other, self.path)
            self.reload(section("k", key), top="allow-users = {50001}")
            self.assertEqual(os.stat(other).st_mode & 0o777, 0o600)
            self.assertIn(f"listen: {self.path}: Socket operation on non-socket", self.immured.log())
        os.unlink(self.path)
        self.reload(section("k", key), top="allow-users = {50001}")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o666)
        self.assert_served(self.connect(), key)
        self.assertRaises(wire.Closed, client.receive)

    def test_an_abstract_socket_is_refused(self):
        self.configure(section("k", Key("p-256")))
        with open(self.config, encoding="utf-8") as file:
            text = file.read().replace(self.path, "@immured")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)
        immured = self.start_program("immured", "--config", self.config)
        immured.expected_status = 1
        self.assertEqual(immured.wait(), 1)
        self.assertIn("conf:1: listen: @immured would be an abstract socket", immured.log())
        self.assertNotIn("@immured", os.listdir(self.directory))

    def test_root_of_a_namespace_that_has_no_other_user(self):
        self.configure(section("k", Key("p-256")))
        immured = self.start_program("immured", "--config", self.config,
                                     starter=("unshare", "--user", "--map-root-user"))
        immured.expected_status = 1
        self.assertEqual(immured.wait(), 1)
        if "unshare failed" in immured.log():
            self.skipTest("this machine allows no user namespaces")
        self.assertRegex(immured.log(), r"error: user \w+: uid \d+ is not mapped in this user namespace: "
                                        r"/proc/self/uid_map lacks it\n")
        self.assertEqual(immured.log().count(" error: "), 1, immured.log())

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
        """Starts a service as systemd does: descriptors from 3 on, and variables that describe
        them."""
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


if __name__ == "__main__":
    harness.main()

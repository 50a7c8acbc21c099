"""The control socket of immure-proxy: who is answered, what becomes of odd clients, and how the socket lives on."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from unittest import mock

import backends
import clients
import harness
import proc
from certificates import certificate

COUNT = harness.scaled(20000, 3000)  # of certificates for long answers
STRANGER = 4321


def as_user(uid, path):
    """What a process of this user is answered to "list", or why it cannot connect."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody reads the request
                    client.sendall(b"list\n")
                with contextlib.suppress(ConnectionResetError):
                    while more := client.recv(65536):
                        os.write(writer, more)
        except OSError as error:
            os.write(writer, error.strerror.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        answer = file.read()
    os.waitpid(child, 0)
    return answer


class ControlTest(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.directory, "certs")
        self.control = os.path.join(self.directory, "control.sock")
        os.mkdir(self.folder)
        self.backend = self.own(backends.Backend(backends.echo))

    def put(self, name="a.example", serial=1, kind="p-256"):
        made = certificate(kind, name, serial=serial)
        for source, ending in ((made.key, ".key"), (made.chain, ".crt")):
            target = os.path.join(self.folder, name + ending)
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)
        return made

    def start(self, top="", **options):
        if not os.listdir(self.folder):
            self.put()
        self.proxy = self.start_proxy([], self.backend.address,
                                      top=f'control-socket = "{self.control}"\n{top}',
                                      frontend=f'certificates = "{self.folder}"', **options)
        return self.proxy

    def connect(self, path=None):
        client = self.own(socket.socket(socket.AF_UNIX))
        client.connect(path or self.control)  # it may have to wait for room in the queue
        client.settimeout(harness.LIMIT)
        return client

    def read(self, client):
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while more := client.recv(65536):
                data += more
        return [json.loads(line) for line in data.splitlines()]

    def ask(self, line, path=None):
        """The lines of the answer."""
        client = self.connect(path)
        client.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")
        answer = self.read(client)
        client.close()
        return answer

    def result(self, line, path=None):
        return self.ask(line, path)[-1]

    def assert_serves(self):
        self.assertEqual(self.result("list")["result"], "done")
        with clients.connect(self.proxy.port, name="a.example") as connection:
            clients.echo_once(connection)

    def hup(self, said="is in force: worker pid"):
        before = self.proxy.log().count(said)
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count(said) > before, said)


class Clients(ControlTest):
    def test_only_root_and_the_own_user(self):
        proxy = self.start()
        status = os.stat(self.control)
        self.assertTrue(stat.S_ISSOCK(status.st_mode))
        self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid), (0o600, os.geteuid()))
        self.assertNotIn("is refused", proxy.log())

    @harness.needs_root("to become another user")
    def test_others_are_refused(self):
        proxy = self.start()
        self.assertEqual(as_user(STRANGER, self.control), b"Permission denied")
        os.chmod(self.control, 0o666)
        for _ in range(5):
            self.assertEqual(json.loads(as_user(STRANGER, self.control)),
                             {"result": "refused", "reason": "only root and the user of immure-proxy are answered"})
        lines = proxy.log().count(f"control-socket: user {STRANGER} (pid ")
        self.assertGreaterEqual(lines, 1)
        self.assertLessEqual(lines, 4, "a line a second at most")
        self.assert_serves()

    @harness.needs_root("to become another user")
    def test_a_proxy_of_another_user_answers_itself_and_root(self):
        os.chmod(self.directory, 0o777)
        shutil.chown(self.folder, STRANGER)
        self.put()
        for name in os.listdir(self.folder):
            shutil.chown(os.path.join(self.folder, name), STRANGER)
        port, admin = harness.free_port(), harness.free_port()
        self.start_proxy_with(
            harness.proxy_config(port, admin, [], self.backend.address, top=f'control-socket = "{self.control}"',
                                 frontend=f'certificates = "{self.folder}"'), port, admin, uid=STRANGER)
        self.assertEqual(os.stat(self.control).st_uid, STRANGER)
        self.assertEqual(self.result("list")["found"], 1)
        self.assertIn(b'"found": 1', as_user(STRANGER, self.control))

    def test_requests_that_are_none(self):
        self.start()
        for line, reason in ((b"\n", "the request is empty"), (b"  \n", "the request is empty"),
                             (b"LIST\n", "there is no such request"), (b"quit\n", "there is no such request"),
                             (b"list a b\n", "too many arguments"), (b"show\n", "lacks an argument"),
                             (b"list a b c d\n", "too many words"), (b"list %4\n", "hexadecimal digits"),
                             (b"list %00\n", "hexadecimal digits"), (b"list \x01\n", "not printable"),
                             (b"list\0\n", "not printable"), (os.urandom(64).replace(b"\n", b"") + b"\1\n", "not printable"),
                             (b"x" * 4096 + b"\n", "there is no such request"), (b"x" * 4097 + b"\n", "is too long"),
                             (b"x" * 100000, "is too long"), (b"list" * 2000 + b"\n", "is too long")):
            with self.subTest(line=line[:20]):
                client = self.connect()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(line)
                end = self.read(client)[-1]
                self.assertEqual(end["result"], "failed")
                self.assertIn(reason, end["reason"])
        for line in (b"list\r\n", b"  list  \n", b"list a%2Eexample\n", b"list\nlist\nlist\n", b"list \xc3\xa4\n"):
            self.assertEqual([each["result"] for each in self.ask(line) if "result" in each], ["done"], line)
        self.assert_serves()

    def test_half_a_request(self):
        self.start()
        client = self.connect()
        for piece in (b"li", b"st", b" a", b"\n"):
            client.sendall(piece)
            time.sleep(0.05)
        self.assertEqual(self.read(client)[-1]["found"], 1)
        client = self.connect()
        client.sendall(b"list")
        client.shutdown(socket.SHUT_WR)
        self.assertIn("does not end with a line feed", self.read(client)[-1]["reason"])
        client = self.connect()
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read(client), [])
        client = self.connect()
        client.sendall(b"list\n")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read(client)[-1]["result"], "done")
        silent = self.connect()
        begin = time.monotonic()
        self.assertIn("no request has come", self.read(silent)[-1]["reason"])
        self.assertGreater(time.monotonic() - begin, 4)
        self.assert_serves()

    def test_many_clients(self):
        proxy = self.start()
        silent = [self.connect() for _ in range(40)]
        first = [client for client in silent[16:]]
        for client in first:
            self.assertEqual(self.read(client)[-1], {"result": "busy", "reason": "there are too many clients"})
        self.assertEqual(proxy.log().count("there are 16 clients already"), 1)
        for client in silent:
            client.close()
        harness.wait_until(lambda: self.result("list")["result"] == "done", "room again")
        before = len(os.listdir(f"/proc/{proxy.pid}/fd"))
        for _ in range(200):
            self.connect().close()
        harness.wait_until(lambda: self.result("list")["result"] == "done", "room again")
        harness.wait_until(lambda: len(os.listdir(f"/proc/{proxy.pid}/fd")) <= before, "the descriptors")

    def test_a_client_that_leaves(self):
        """While a refresh that it has asked for is under way."""
        proxy = self.start()
        for serial in range(2, 12):
            self.put(serial=serial)
            client = self.connect()
            client.sendall(b"refresh\n")
            client.close()
        made = self.put(serial=20)
        *changes, end = self.ask("refresh")
        self.assertEqual(end["result"], "done")
        with clients.connect(proxy.port, name="a.example") as connection:
            self.assertEqual(connection.getpeercert(binary_form=True),
                             clients.ssl.PEM_cert_to_DER_cert(open_text(made.chain)))
        self.assert_serves()

    def test_several_who_ask_for_a_refresh(self):
        """All get the outcome of one that has begun after they asked."""
        self.start()
        self.put("d.example")
        waiting = []
        for line in (b"refresh\n", b"check\n", b"refresh\n", b"refresh\n", b"check\n"):
            waiting.append(self.connect())
            waiting[-1].sendall(line)
        ends = [self.read(client)[-1] for client in waiting]
        self.assertEqual([end["result"] for end in ends], ["done"] * 5, ends)
        self.assertEqual(sum(end["added"] for end in (ends[0], ends[2], ends[3])) >= 1, True)
        self.assertLessEqual(self.proxy.log().count("goes on"), 3)


def open_text(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class LongAnswers(ControlTest):
    """An immured of their own has the keys, so that none is handed over."""

    def start_many(self):
        subprocess.run([harness.program_path("make-certificates"), self.folder, str(COUNT)], check=True,
                       timeout=harness.LIMIT)
        return self.start(workers=1)

    def resident(self):
        with open(f"/proc/{self.proxy.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

    def test_streams(self):
        proxy = self.start_many()
        begin = time.monotonic()
        *listed, end = self.ask("list")
        self.assertEqual((len(listed), end["found"]), (COUNT, COUNT))
        self.assertEqual(len({each["key_id"] for each in listed}), COUNT)
        self.assertEqual(self.result("list nowhere")["found"], 0)
        self.assertEqual(self.result(f"show n{COUNT - 1}.example")["found"], 1)
        took = time.monotonic() - begin
        before = self.resident()
        slow = [self.connect() for _ in range(16)]
        for client in slow:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"list\n")
            client.recv(100)
        time.sleep(1)
        self.assertLess(self.resident() - before, harness.scaled(16 * 512, 1 << 18), "KiB")
        begin = time.monotonic()
        with clients.connect(proxy.port, name="n1.example") as connection:
            clients.echo_once(connection)
        self.assertLess(time.monotonic() - begin, 5 + took)
        # they are dropped in the end, without their last line
        for client in slow[1:]:
            client.close()
        harness.wait_until(lambda: self.result("list nowhere")["result"] == "done", "room")
        time.sleep(11)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while more := slow[0].recv(1 << 20):
                data += more
        self.assertNotIn(b'"result"', data)
        self.assertTrue(proc.alive(proxy.pid))

    def test_certificates_change_meanwhile(self):
        """An answer that has begun goes on with the store before."""
        self.start_many()
        client = self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"list\n")
        data = client.recv(1000)
        os.unlink(os.path.join(self.folder, f"n{COUNT - 1}.example.crt"))
        end = self.result("refresh")
        self.assertEqual((end["result"], end["removed"]), ("done", 1))
        while more := client.recv(1 << 20):
            data += more
        lines = data.splitlines()
        self.assertEqual(len(lines), COUNT + 1)
        self.assertEqual(json.loads(lines[-1])["certificates"], COUNT)
        self.assertEqual(self.result("list")["certificates"], COUNT - 1)

    def test_a_configuration_comes_meanwhile(self):
        self.start_many()
        client = self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"list\n")
        client.recv(1000)
        self.proxy.write_config(self.proxy.config + "# another text\n\n")
        self.hup()
        data = b""
        while more := client.recv(1 << 20):
            data += more
        self.assertIn("another configuration has come into force", json.loads(data.splitlines()[-1])["reason"])
        self.assertEqual(self.result("list")["found"], COUNT)


class Outcomes(ControlTest):
    def test_what_is_not_enough(self):
        proxy = self.start()
        self.assertEqual(self.result("refresh")["result"], "done")
        self.put("rsa.example", kind="rsa-2048")
        for verb in ("check", "refresh"):
            end = self.result(verb)
            self.assertEqual(end["result"], "reload")
            self.assertIn("a route gets its first certificate", end["reason"])
        os.unlink(os.path.join(self.folder, "rsa.example.crt"))
        good = proxy.config
        proxy.write_config(good + "# another\n\nworkers = 0\n")
        self.assertEqual(self.result("refresh"),
                         {"result": "reload", "reason": "the text of the configuration has changed"})
        proxy.write_config(good)
        self.assertEqual(self.result("refresh")["result"], "done")

    def test_the_worker_has_ended(self):
        proxy = self.start()
        ends = []
        for _ in range(20):
            worker = proxy.worker()
            if worker:
                os.kill(worker, signal.SIGKILL)
            ends.append(self.result("refresh"))
            harness.wait_until(lambda worker=worker: proxy.worker() not in (0, worker), "the next worker")
        self.assertTrue({end["result"] for end in ends} <= {"done", "busy", "reload"}, ends)
        harness.wait_until(lambda: self.result("refresh")["result"] == "done", "an ordinary refresh")
        self.assert_serves()

    def test_while_hup_is_under_way(self):
        """The resolver does not answer, so the configuration does not come up at once."""
        proxy = self.start()
        good = proxy.config
        proxy.write_config(good.replace(f'address = "{self.backend.address}"', 'address = "no-such.invalid:1"'))
        proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: "HUP: reading" in proxy.log(), "HUP")
        ends = [self.result("refresh") for _ in range(3)]
        harness.wait_until(lambda: "the running configuration goes on" in proxy.log(), "the refusal")
        self.assertTrue({end["result"] for end in ends} <= {"busy", "reload"}, ends)
        self.assertEqual(self.result("list")["found"], 1)
        proxy.write_config(good)
        self.assertEqual(self.result("refresh")["result"], "done")

    def test_no_folder(self):
        made = certificate("p-256", "a.example")
        self.proxy = self.start_proxy([made], self.backend.address, top=f'control-socket = "{self.control}"')
        self.assertEqual(self.result("refresh")["reason"], "the configuration has no folder or list of certificates")
        self.assertEqual(self.ask("sources"), [{"result": "done", "found": 0, "watched": False}])
        (shown, _) = self.ask("show a.example")
        self.assertEqual((shown["source"], shown["key_held"]), ("section", True))


class Life(ControlTest):
    def test_hup_keeps_it(self):
        proxy = self.start()
        before = os.stat(self.control).st_ino
        self.hup()
        proxy.write_config(proxy.config + "# another text\n\n")
        self.hup()
        self.assertEqual(os.stat(self.control).st_ino, before)
        self.assert_serves()
        os.unlink(self.control)
        self.hup()
        self.assert_serves()

    def test_another_path(self):
        proxy = self.start()
        second = self.control + "2"
        first = proxy.config
        proxy.write_config(first.replace(f'"{self.control}"', f'"{second}"'))
        self.hup()
        self.assertFalse(os.path.exists(self.control))
        self.assertEqual(self.result("list", second)["found"], 1)
        proxy.write_config(first.replace(f'control-socket = "{self.control}"', ""))
        self.hup()
        self.assertFalse(os.path.exists(second))
        proxy.write_config(first)
        self.hup()
        self.assert_serves()
        self.assertEqual(proxy.stop(), [])
        self.assertFalse(os.path.exists(self.control))

    def test_a_configuration_that_is_refused(self):
        proxy = self.start()
        before, good = os.stat(self.control).st_ino, proxy.config
        taken = os.path.join(self.directory, "taken")
        with open(taken, "w", encoding="ascii") as file:
            file.write("not a socket")
        other = self.own(socket.socket(socket.AF_UNIX))
        other.bind(os.path.join(self.directory, "other"))
        other.listen()
        long = os.path.join(self.directory, "x" * 110)
        for path, reason in ((taken, "cannot listen on .*/taken: Address already in use"),
                             (os.path.join(self.directory, "other"), "/other: Address already in use"),
                             ("/proc/x", "cannot listen on /proc/x: No such file or directory|Operation not permitted"),
                             (long, "control-socket: the path is longer than 103 bytes")):
            with self.subTest(path=path):
                proxy.write_config(good.replace(f'"{self.control}"', f'"{path}"'))
                self.hup("the running configuration goes on")
                self.assertRegex(proxy.log(), reason)
                self.assert_serves()
        proxy.write_config(good + "no-such = 1\n")
        self.hup("the running configuration goes on")
        self.assertEqual(os.stat(self.control).st_ino, before)
        self.assertEqual(open_text(taken), "not a socket")
        self.assert_serves()
        self.assertEqual([name for name in os.listdir(self.directory) if name.endswith(".new")], [])

    def test_what_a_master_before_has_left(self):
        proxy = self.start()
        self.addCleanup(setattr, proxy, "expected_status", -signal.SIGKILL)
        os.kill(proxy.pid, signal.SIGKILL)
        proxy.wait()
        proxy.expected_status = -signal.SIGKILL
        self.assertTrue(os.path.exists(self.control))
        shutil.copy("/dev/null", os.path.join(self.directory, "x"))
        self.start()
        self.assert_serves()

    def test_the_path_of_a_listener(self):
        port, admin = harness.free_port(), harness.free_port()
        self.put()
        config = harness.proxy_config(port, admin, [], self.backend.address, top=f'control-socket = "{self.control}"',
                                      frontend=f'certificates = "{self.folder}"')
        path = os.path.join(self.directory, "twice.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config.replace(f'"127.0.0.1:{port}"', f'"unix:{self.control}"'))
        done = subprocess.run([harness.program_path("immure-proxy"), "--test", "--config", path],
                              capture_output=True, text=True, timeout=harness.LIMIT)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"twice.conf:3: control-socket: \S+ is used twice \(first in line 5\)")


class Upgrade(ControlTest):
    def setUp(self):
        super().setUp()
        self.bin = os.path.join(self.directory, "bin")
        os.mkdir(self.bin)
        for name in ("immure-proxy", "immured"):
            shutil.copy(harness.program_path(name), os.path.join(self.bin, name))
        patch = mock.patch.object(harness, "BIN", self.bin)
        patch.start()
        self.addCleanup(patch.stop)

    def end_master(self, pid):
        if proc.alive(pid):
            os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not proc.alive(pid), f"the end of master {pid}")

    def test_no_moment_without_it(self):
        """Somebody who asks again and again is always answered."""
        proxy = self.start()
        before = os.stat(self.control).st_ino
        proxy.signal(signal.SIGUSR2)
        asked = 0

        def newest():
            return max((pid for pid in proc.children(proxy.pid)
                        if proc.title(pid).startswith("immure-proxy: master")), default=0)
        master = harness.wait_until(newest, "a new master")
        self.addCleanup(self.end_master, master)
        while proc.alive(proxy.pid):
            self.assertIn(self.result("list")["result"], ("done", "busy", "failed"))
            asked += 1
        self.assertGreater(asked, 0)
        self.assertNotEqual(os.stat(self.control).st_ino, before)
        self.assertEqual(self.result("list")["found"], 1)
        self.assertEqual(self.result("refresh")["result"], "done")
        self.end_master(master)
        self.assertFalse(os.path.exists(self.control))

    def test_an_upgrade_that_fails(self):
        proxy = self.start()
        before = os.stat(self.control).st_ino
        path = os.path.join(self.bin, "immured")
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 3\n")
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)
        proxy.signal(signal.SIGUSR2)
        harness.wait_until(lambda: "; this one goes on" in proxy.log(), "the refusal")
        self.assertEqual(os.stat(self.control).st_ino, before)
        self.assert_serves()


if __name__ == "__main__":
    harness.main()

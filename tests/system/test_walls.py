"""
The walls of immured and of the worker: forbidden system calls, attempted by test builds of the
programs, and attacks by other processes of the same user.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import unittest

import backends
import clients
import harness
import proc
import wire
from certificates import certificate
from immured import ImmuredTest, Key, key_process

ANYBODY = 12345  # a uid that is nobody's
PIDFD_GETFD, PTRACE_SEIZE = 438, 0x4206
CALLS = 22  # of tests/support/trespass.c
AT_ONCE = 5  # then a new start: a process that dies again and again is replaced ever later


@harness.not_sanitized("its walls are open")
class ImmuredIsKilled(ImmuredTest):
    def trespass(self, immured, key, number):
        process = key_process(immured)
        bystander = self.connect()
        with self.assertRaises((wire.Closed, OSError)):
            self.connect().sign(key.id, key.tls13_scheme(), f"trespass {number}".encode())
        self.assertRaises((wire.Closed, OSError), bystander.ping)
        harness.wait_until(lambda: key_process(immured) not in (0, process), "a new key process")
        self.assert_served(self.connect(), key)

    def test_forbidden_calls(self):
        """Half of them by a signer thread, half by the event loop, which signs with EC keys itself."""
        keys = [Key("rsa-2048"), Key("p-256")]
        for first in range(0, CALLS, AT_ONCE):
            immured = self.start_immured(*keys, program="immured-test", policy="any", top="backend = trespass")
            immured.trespasses = True
            numbers = range(first, min(first + AT_ONCE, CALLS))
            for number in numbers:
                with self.subTest(call=number):
                    self.trespass(immured, keys[number % 2], number)
            self.assertEqual(immured.log().count("(Bad system call)"), len(numbers), immured.log())
            self.assertEqual(immured.stop(), [])

    def test_others_are_let_be(self):
        """The test build itself is no reason to die."""
        key = Key("p-256")
        self.start_immured(key, program="immured-test", policy="any", top="backend = trespass")
        client = self.connect()
        self.assertEqual(client.sign(key.id, key.tls13_scheme(), f"trespass {CALLS}".encode()).type, wire.SIGNED)
        self.assert_served(client, key)


@harness.not_sanitized("its walls are open")
class WorkerIsKilled(harness.SystemTest):
    def start(self):
        backend = self.own(backends.Backend(backends.echo))
        port, admin_port = harness.free_port(), harness.free_port()
        config = harness.proxy_config(port, admin_port, [certificate("p-256")], backend.address)
        return self.start_proxy_with(config, port, admin_port, program="immure-proxy-test")

    def trespass(self, proxy, number):
        worker = proxy.worker()
        with socket.socket() as client:
            client.bind((f"127.1.{number >> 8}.{number & 255}", 0))
            client.settimeout(harness.LIMIT)
            client.connect(("127.0.0.1", proxy.port))
            try:
                self.assertEqual(client.recv(1), b"")
            except ConnectionResetError:
                pass
        # It waits in the backlog, which is the master's, for the next worker.
        with clients.connect(proxy.port) as other:
            clients.echo_once(other)
        self.assertNotEqual(proxy.worker(), worker)

    def test_forbidden_calls(self):
        for first in range(0, CALLS, AT_ONCE):
            proxy = self.start()
            proxy.trespasses = True
            immured = proxy.immured()
            numbers = range(first, min(first + AT_ONCE, CALLS))
            for number in numbers:
                with self.subTest(call=number):
                    self.trespass(proxy, number)
            self.assertEqual(proxy.log().count("(Bad system call)"), len(numbers), proxy.log())
            self.assertEqual(proxy.immured(), immured, "it had no part in this")
            self.assertEqual(proxy.stop(), [])

    def test_others_are_let_be(self):
        proxy = self.start()
        worker = proxy.worker()
        with socket.socket() as client:
            client.bind((f"127.1.0.{CALLS}", 0))
            client.connect(("127.0.0.1", proxy.port))
            with clients.connect(proxy.port) as other:
                clients.echo_once(other)
        self.assertEqual(proxy.worker(), worker)


class Explained(ImmuredTest):
    def explain(self, *keys):
        config = os.path.join(self.directory, "immured.conf")
        with open(config, "w", encoding="utf-8") as file:
            for number, key in enumerate(keys):
                file.write(f'key "key {number}" {{ file = "{key.file}" }}\n')
        done = subprocess.run([harness.program_path("immured"), "--config", config, "--explain-sandbox"],
                              capture_output=True, text=True, timeout=harness.LIMIT, check=True)
        return {line[5:].split("  ")[0].strip(): line.startswith("yes") for line in done.stdout.splitlines()}

    def test_every_wall_has_its_line(self):
        walls = self.explain(Key("p-256"))
        self.assertLessEqual({"environment", "descriptors", "core files", "privileges", "code", "secret memory",
                              "namespaces", "landlock", "user", "memory", "system calls"}, walls.keys())
        for wall in ("environment", "descriptors", "core files", "privileges"):
            self.assertTrue(walls[wall], wall)
        if not harness.SANITIZE:
            for wall in ("memory", "system calls"):
                self.assertTrue(walls[wall], wall)

    @harness.needs_root("to become somebody without a right to lock memory")
    def test_required_secret_memory(self):
        """Said, and refused, where there is none."""
        key = Key("p-256")
        own = os.path.join(self.directory, "key.pem")
        shutil.copyfile(key.file, own)
        os.chown(own, ANYBODY, ANYBODY)
        config = os.path.join(self.directory, "immured.conf")
        for required, status in (("no", 0), ("yes", 1)):
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'require-secret-memory = {required}\nkey "key" {{ file = "{own}" }}\n')
            done = subprocess.run(["prlimit", "--memlock=65536:65536", harness.program_path("immured"),
                                   "--config", config, "--explain-sandbox"], user=ANYBODY, group=ANYBODY,
                                  extra_groups=[], capture_output=True, text=True, timeout=harness.LIMIT,
                                  check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn("require-secret-memory = yes, but there is none: memfd_secret" if status else
                          "KEY MEMORY IS ORDINARY MEMORY, NOT EVEN LOCKED", done.stderr)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def attempts(pid):
    """What may the caller do to the process of this id? {attempt: errno, or 0}"""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    found = {}

    def note(name, good):
        found[name] = 0 if good else ctypes.get_errno()

    here = ctypes.create_string_buffer(8)
    # An address that the other has something at with luck only: EFAULT is as good as success.
    local, remote = Vector(ctypes.addressof(here), 8), Vector(1 << 20, 8)
    note("process_vm_readv",
         libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) >= 0)
    for name in ("mem", "maps", "environ", "fd/0", "exe"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
            found[name] = 0
        except OSError as error:
            found[name] = error.errno
    pidfd = os.pidfd_open(pid)
    for number in range(8):
        note(f"pidfd_getfd {number}", libc.syscall(PIDFD_GETFD, pidfd, number, 0) >= 0)
    note("ptrace", libc.ptrace(PTRACE_SEIZE, pid, None, None) >= 0)
    return found


def attempts_as(uid, pid):
    """The same by a process of that user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.write(writer, json.dumps(attempts(pid)).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        found = json.loads(answer.read())
    os.waitpid(child, 0)
    return found


@harness.needs_root("to become somebody else")
@harness.not_sanitized("it is dumpable then")
class SameUser(harness.SystemTest):
    def test_nothing_is_open(self):
        backend = self.own(backends.Backend(backends.echo))
        own = certificate("p-256")
        chain, key = (os.path.join(self.directory, name) for name in ("chain.pem", "key.pem"))
        for source, copy in ((own.chain, chain), (own.key, key)):
            shutil.copyfile(source, copy)
            os.chown(copy, ANYBODY, ANYBODY)
        port, admin_port = harness.free_port(), harness.free_port()
        config = harness.proxy_config(port, admin_port, [own._replace(chain=chain, key=key)], backend.address)
        proxy = self.start_proxy_with(config, port, admin_port, uid=ANYBODY)
        for name, pid in (("master", proxy.pid), ("worker", proxy.worker()), ("immured", proxy.immured())):
            self.assertEqual(proc.uids(pid), [ANYBODY] * 4)
            for attempt, errno in attempts_as(ANYBODY, pid).items():
                with self.subTest(process=name, attempt=attempt):
                    self.assertIn(errno, (1, 13), "neither EPERM nor EACCES")

    def test_the_probe_finds_what_is_open(self):
        with subprocess.Popen(["sleep", "60"], user=ANYBODY, group=ANYBODY, extra_groups=[],
                              stdin=subprocess.DEVNULL) as sleeper:
            found = attempts_as(ANYBODY, sleeper.pid)
            sleeper.kill()
        if found["ptrace"] == 1:
            raise unittest.SkipTest("this system lets nobody trace (yama)")
        self.assertEqual([found[name] for name in ("mem", "maps", "fd/0", "pidfd_getfd 0", "ptrace")], [0] * 5)
        self.assertIn(found["process_vm_readv"], (0, 14), "EFAULT is past the walls")


if __name__ == "__main__":
    harness.main()

"""The proxy and immured run out of descriptors: they wait without spinning and serve again at once.
And many restarts leave nothing behind."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import backends
import clients
import harness
import proc
import wire
from certificates import certificate
from immured import ImmuredTest, Key, key_process

DRY = 10 if harness.LONG else 1.5  # seconds without descriptors
BUSY = 0.5  # of one core: more would be a busy loop
RECOVERY = harness.scaled(1.0, 5.0)  # seconds until a client is served again
RESTARTS = harness.endured(6, 1000)  # the pause between them grows to a second


class Dry:
    """A context in which the process gets no new descriptor: its limit is below those that it has.
    A process of the same uid changes the limit, because root would need a capability."""

    def __init__(self, pid):
        self.pid = pid
        self.before = re.search(r"Max open files +(\d+) +(\d+)", proc.read(pid, "limits")).groups()

    def limit(self, soft, hard):
        owner = proc.status(self.pid)
        identity = {} if os.geteuid() != 0 else {
            "user": int(owner["Uid"].split()[0]), "group": int(owner["Gid"].split()[0]), "extra_groups": []}
        subprocess.run(["prlimit", "--pid", str(self.pid), f"--nofile={soft}:{hard}"],
                       check=True, timeout=harness.LIMIT, **identity)

    def __enter__(self):
        self.limit(0, self.before[1])

    def __exit__(self, *_):
        self.limit(*self.before)


def in_background(call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


class NoDescriptors(ImmuredTest):
    def assert_quiet(self, pid, seconds):
        """The process is alive after this many seconds, and slept most of the time. On a busy
        machine, or with a sanitizer, it may finish earlier work first; a busy loop would never
        end."""
        def busy():
            begun = proc.cpu(pid)
            time.sleep(seconds)
            self.assertTrue(proc.alive(pid))
            return (proc.cpu(pid) - begun) / seconds
        harness.assert_within(BUSY, busy)

    def recovery(self, pid, serve, serve_old):
        """Takes the descriptors away for a while: new clients wait, and an old one is served.
        Returns how long a new client waits afterwards, in seconds."""
        done = []

        def wait():
            serve()
            done.append(True)

        with Dry(pid):
            waiting = [in_background(wait) for _ in range(20)]
            self.assert_quiet(pid, DRY)
            serve_old()
            self.assertEqual(done, [])
        took = harness.seconds_of(serve)
        for each in waiting:
            each.join(harness.LIMIT)
        self.assertEqual(len(done), len(waiting))
        return took

    def test_worker(self):
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("p-256")], backend.address)
        worker = proxy.worker()
        old = self.own(clients.connect(proxy.port))
        clients.echo_once(old)

        def serve():
            with clients.connect(proxy.port) as connection:
                clients.echo_once(connection)

        harness.assert_within(RECOVERY, lambda: self.recovery(worker, serve, lambda: clients.echo_once(old)))
        self.assertEqual(proxy.worker(), worker)
        self.assertIn("clients wait in the backlog: Too many open files", proxy.log())

    def test_backend_cannot_be_reached(self):
        """The client is accepted, but there is no descriptor left for its backend."""
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("p-256")], backend.address)
        worker = proxy.worker()
        raw = self.own(socket.create_connection(("127.0.0.1", proxy.port), timeout=harness.LIMIT))
        harness.wait_until(lambda: proxy.metric("immure_connections") == 1, "the client's connection")
        with Dry(worker):
            ended = None
            try:
                with clients.context().wrap_socket(raw, server_hostname="localhost") as connection:
                    ended = connection.recv(1)
            except OSError:
                ended = b""
            self.assertEqual(ended, b"", "it is ended, not kept waiting")
            self.assert_quiet(worker, DRY / 2)
        self.assertEqual(proxy.worker(), worker)
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)

    def test_immured(self):
        key = Key("p-256")
        immured = self.start_immured(key)
        pid = key_process(immured)
        old = self.connect()

        def serve():
            with wire.Client.connect(self.path, timeout=harness.LIMIT) as client:
                client.ping()

        harness.assert_within(RECOVERY, lambda: self.recovery(pid, serve, lambda: self.assert_served(old, key)))
        self.assertEqual(key_process(immured), pid)
        self.assertIn("accepting pauses: Too many open files", immured.log())

    def test_immured_of_a_proxy(self):
        """Handshakes continue, because the worker is already connected."""
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("p-256")], backend.address)
        pid = proxy.immured()
        with Dry(pid), clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
            self.assert_quiet(pid, DRY / 2)
        self.assertEqual(proxy.immured(), pid)


class Restarts(ImmuredTest):
    def left(self, *pids):
        """Descriptors of the processes that stay, and the number of children of each, including
        zombies."""
        dead = sum(1 for entry in os.listdir("/proc") if entry.isdigit() and self.is_dead_child(entry, pids))
        held = [proc.descriptors(pid) if os.geteuid() == 0 else 0 for pid in pids]
        return held, [len(proc.children(pid)) for pid in pids], dead

    @staticmethod
    def is_dead_child(pid, parents):
        try:
            state, parent = proc.stat(pid)[:2]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state == "Z" and int(parent) in parents

    def assert_nothing_left(self, before, *pids):
        harness.wait_until(lambda: self.left(*pids) == before, lambda: f"{before}, and not {self.left(*pids)}")

    def test_immured_of_a_proxy(self):
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("p-256")], backend.address)
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
        staying = (proxy.pid, proxy.worker())
        harness.wait_until(lambda: proxy.metric("immure_connections") == 0, "no connection")
        before, files = self.settled(*staying), sorted(os.listdir(self.directory))
        for _ in range(RESTARTS):
            victim = proxy.immured()
            os.kill(victim, signal.SIGKILL)
            harness.wait_until(lambda victim=victim: proxy.immured() not in (0, victim), "a new immured",
                               pause=0.002)
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
        self.assertEqual(proxy.worker(), staying[1])
        self.assert_nothing_left(before, *staying)
        self.assertEqual(sorted(os.listdir(self.directory)), files)

    def test_worker_of_a_proxy(self):
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("p-256")], backend.address)
        staying = (proxy.pid, proxy.immured())
        before = None
        for _ in range(RESTARTS):
            victim, known = proxy.worker(), set(proc.children(proxy.pid))
            os.kill(victim, signal.SIGKILL)
            harness.wait_until(lambda known=known: set(proc.children(proxy.pid)) - known, "a new worker",
                               pause=0.002)
            with clients.connect(proxy.port) as connection:  # the master has the listener meanwhile
                clients.echo_once(connection)
            before = before or self.settled(*staying)
        self.assertEqual(proxy.immured(), staying[1])
        self.assert_nothing_left(before, *staying)

    def settled(self, *pids):
        """Waits until the value is stable, and returns it."""
        seen = self.left(*pids)
        while True:
            time.sleep(0.5)
            seen, last = self.left(*pids), seen
            if seen == last:
                return seen

    def test_key_process_of_immured(self):
        key = Key("p-256")
        immured = self.start_immured(key)
        self.connect().close()
        before, files = self.left(immured.pid), sorted(os.listdir(self.directory))
        for _ in range(RESTARTS):
            victim = key_process(immured)
            os.kill(victim, signal.SIGKILL)
            harness.wait_until(lambda victim=victim: set(proc.children(immured.pid)) - {victim},
                               "a new key process", pause=0.002)
            with wire.Client.connect(self.path, timeout=harness.LIMIT) as client:
                client.ping()
        self.assert_nothing_left(before, immured.pid)
        self.assertEqual(sorted(os.listdir(self.directory)), files)


if __name__ == "__main__":
    harness.main()

"""The master: start, processes, supervision, end; and the command line."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import backends
import clients
import harness
import proc
from certificates import certificate

AT_ONCE = 10  # seconds: much less than the standard drain-timeout


class Master(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.certificate = certificate("p-256")

    def start(self, **options):
        return self.start_proxy([self.certificate], self.backend.address, **options)

    def config(self, port=None, **options):
        return harness.proxy_config(port or harness.free_port(), harness.free_port(),
                                    [self.certificate], self.backend.address, **options)

    def run_program(self, *arguments):
        return subprocess.run([harness.program_path("immure-proxy"), *arguments], text=True,
                              capture_output=True, timeout=harness.LIMIT, cwd=self.directory,
                              check=False)

    def write(self, text, name="other.conf"):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Memory(Master):
    def test_more_connections_than_memory(self):
        """The operator hears of it at start, not when the kernel ends the worker."""
        line = (r"warning: max-connections = 10000000, but the available memory \((\d+) MiB\) has "
                r"room for (\d+), at (\d+) KiB for an idle one\n")
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if machine >= 10000000 * 16 * 1024:
            self.skipTest("this machine has memory for ten million connections")
        proxy = self.start(top="max-connections = 10000000")
        mib, room, each = map(int, re.search(line, proxy.log()).groups())
        self.assertLessEqual(mib, machine >> 20)
        self.assertAlmostEqual(room, mib * 1024 // each, delta=1024)
        proxy.stop()
        proxy = self.start(top="max-connections = 100")
        self.assertNotIn("max-connections", proxy.log())


class Processes(Master):
    def test_titles(self):
        proxy = self.start()
        self.assertEqual(proc.title(proxy.pid), f"immure-proxy: master {proxy.config_path}")
        self.assertEqual(proc.title(proxy.worker()), "immure-proxy: worker")
        for pid in (proxy.pid, proxy.worker()):
            self.assertEqual(proc.program(pid), "immure-proxy")
        self.assertEqual(proc.program(proxy.immured()), "immured")

    @harness.needs_root("the worker is closed to its own user")
    def test_worker_has_only_its_descriptors(self):
        """It has none of the master's descriptors, such as the signalfd or immured's socket."""
        proxy = self.start(workers=1)
        worker = set(proc.opened(proxy.worker()))
        self.assertFalse({name for name in worker if "signalfd" in name})
        shared = worker & set(proc.opened(proxy.immured()))
        self.assertFalse({name for name in shared if name.startswith("socket:")})
        self.assertTrue({name for name in worker & set(proc.opened(proxy.pid)) if name.startswith("socket:")},
                        "the listening sockets are the master's too")

    def test_worker_killed(self):
        proxy = self.start()
        for _ in range(3):
            worker = proxy.worker()
            os.kill(worker, signal.SIGKILL)
            harness.wait_until(lambda worker=worker: f"worker (pid {worker}) was killed by signal 9 "
                               "(Killed); it is started again in" in proxy.log(), "the log line")
            with clients.connect(proxy.port) as connection:  # it waited in the backlog
                clients.echo_once(connection)
            self.assertNotEqual(proxy.worker(), worker)

    def test_immured_killed(self):
        proxy = self.start()
        worker, immured = proxy.worker(), proxy.immured()
        os.kill(immured, signal.SIGKILL)
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
        self.assertEqual(proxy.worker(), worker)
        self.assertIn(f"immured (pid {immured}) was killed by signal 9 (Killed); "
                      "it is started again in 10 ms", proxy.log())
        self.assertNotEqual(proxy.immured(), immured)

    def test_master_killed(self):
        """No process is left behind: the worker finishes its connections, immured ends, and the
        ports are free at once."""
        proxy = self.start()
        established = self.own(clients.connect(proxy.port))
        others = proc.children(proxy.pid)
        self.assertEqual(len(others), 2)
        proxy.expected_status = -signal.SIGKILL
        proxy.signal(signal.SIGKILL)
        for port in (proxy.port, proxy.admin_port):
            harness.wait_until(lambda port=port: clients.refused(port), "a free port", limit=AT_ONCE)
        clients.echo_once(established)
        self.start_proxy_with(proxy.config, proxy.port, proxy.admin_port)
        clients.echo_once(established)
        established.close()
        harness.wait_until(lambda: not any(proc.alive(pid) for pid in others), "their end")

    def test_signals_that_the_starter_ignored_and_blocked(self):
        """Otherwise the master would notice neither the death of children nor HUP and TERM."""
        port, admin = harness.free_port(), harness.free_port()
        config = harness.proxy_config(port, admin, [self.certificate], self.backend.address)
        proxy = self.start_proxy_with(config, port, admin, starter=harness.DEAF)
        for child in (proxy.worker, proxy.immured):
            before = child()
            os.kill(before, signal.SIGKILL)
            harness.wait_until(lambda child=child, before=before: child() not in (0, before), "another one")
        proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: proxy.log().count("is in force") == 2, "HUP")
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)

    def test_in_process_has_no_immured(self):
        proxy = self.start(signing="in-process")
        self.assertEqual(proxy.immured(), 0)
        self.assertIn("signing = in-process: THE PRIVATE KEYS ARE IN THE WORKER'S MEMORY",
                      proxy.log())

    def test_descriptor_limit_is_said(self):
        proxy = self.start(top="max-connections = 10000000")
        self.assertRegex(proxy.log(), r"max-connections = 10000000, but the limit of file descriptors "
                                      r"\(RLIMIT_NOFILE\) has room for \d+")


class End(Master):
    def test_term_drains(self):
        proxy = self.start()
        established = self.own(clients.connect(proxy.port))
        clients.echo_once(established)
        proxy.signal(signal.SIGTERM)
        harness.wait_until(lambda: "ending: open connections have 30000 ms" in proxy.log(), "TERM")
        harness.wait_until(lambda: clients.refused(proxy.port), "new connections to be refused")
        clients.echo_once(established)
        self.assertTrue(proxy.running())
        established.close()
        self.assertEqual(proxy.wait(), 0)

    def test_deadline(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            proxy = self.start(top="drain-timeout = 300ms")
            self.own(clients.connect(proxy.port))
            begin = time.monotonic()
            proxy.signal(number)
            self.assertEqual(proxy.wait(), 0)
            self.assertGreater(time.monotonic() - begin, 0.25)
            self.assertLess(time.monotonic() - begin, AT_ONCE)

    def test_second_term_ends_at_once(self):
        proxy = self.start()
        self.own(clients.connect(proxy.port))
        proxy.signal(signal.SIGTERM)
        harness.wait_until(lambda: "ending: open connections" in proxy.log(), "the first TERM")
        begin = time.monotonic()
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertLess(time.monotonic() - begin, AT_ONCE)

    def test_interrupt_from_a_terminal(self):
        """It goes to all processes, and only the master may act on it."""
        proxy = self.start()
        established = self.own(clients.connect(proxy.port))
        os.killpg(proxy.pid, signal.SIGINT)
        harness.wait_until(lambda: "ending: open connections" in proxy.log(), "the signal")
        for _ in range(20):
            clients.echo_once(established)
            time.sleep(0.01)
        established.close()
        self.assertEqual(proxy.wait(), 0)

    def test_stuck_worker_is_killed(self):
        proxy = self.start(top="drain-timeout = 100ms")
        proc.stop(proxy.worker())
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertRegex(proxy.log(), r"worker \(pid \d+\) does not end; it is killed")


class Listening(Master):
    def test_two_masters_on_one_port(self):
        first = self.start()
        path = self.write(self.config(port=first.port))
        second = self.run_program("--config", path)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"{path}:5: cannot listen on 127.0.0.1:{first.port}: Address already in use",
                      second.stderr)
        clients.echo_once(self.own(clients.connect(first.port)))

    def test_any_address_is_both_families(self):
        port, admin_port = harness.free_port(), harness.free_port()
        text = harness.proxy_config(port, admin_port, [self.certificate], self.backend.address)
        self.start_proxy_with(text.replace(f'"127.0.0.1:{port}"', f'"*:{port}"'), port, admin_port)
        for host in ("127.0.0.1", "::1"):
            try:
                raw = socket.create_connection((host, port), timeout=harness.LIMIT)
            except OSError:
                if host == "::1" and not socket.has_dualstack_ipv6():
                    continue
                raise
            with clients.context().wrap_socket(raw) as connection:
                clients.echo_once(connection)

    def test_unix_socket(self):
        path = os.path.join(self.directory, "front.sock")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)  # a file that nobody serves is no obstacle
        port, admin_port = harness.free_port(), harness.free_port()
        text = harness.proxy_config(port, admin_port, [self.certificate], self.backend.address)
        proxy = self.start_proxy_with(
            text.replace(f'"127.0.0.1:{port}"', '"unix:front.sock"'), port, admin_port)
        for _ in range(8):
            raw = socket.socket(socket.AF_UNIX)
            raw.settimeout(harness.LIMIT)
            raw.connect(path)
            with clients.context().wrap_socket(raw) as connection:
                clients.echo_once(connection)
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertFalse(os.path.exists(path))

    def test_file_in_the_way_of_a_unix_socket(self):
        path = self.write("precious", "front.sock")
        port = harness.free_port()
        config = self.write(self.config(port).replace(f'"127.0.0.1:{port}"', '"unix:front.sock"'))
        done = self.run_program("--config", config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot listen on unix:front.sock: Address already in use", done.stderr)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")

    @harness.needs("ss")
    def test_backlog(self):
        proxy = self.start(workers=3, top="listen-backlog = 77")
        lines = subprocess.run(["ss", "-Hltn", f"sport = :{proxy.port}"], text=True, check=True,
                               capture_output=True, timeout=harness.LIMIT).stdout.splitlines()
        self.assertEqual([line.split()[2] for line in lines], ["77"] * 3)


class CommandLine(Master):
    def test_good_configuration(self):
        path = self.write(self.config())
        done = self.run_program("--config", path, "--test")
        self.assertEqual((done.returncode, done.stdout), (0, f"{path}: configuration is good\n"))

    def test_beside_a_running_one(self):
        proxy = self.start()
        done = self.run_program("--config", proxy.config_path, "--test")
        self.assertEqual(done.returncode, 0)
        for _ in range(20):
            with clients.connect(proxy.port) as connection:
                clients.echo_once(connection)

    def test_bad_configurations(self):
        other = certificate("p-256", serial=2)
        cases = [
            (self.config(top="sigining = sync"), ":3: unknown directive 'sigining'; did you mean"),
            (self.config(frontend="ciphersuites = NONSENSE"), ":4: "),
            (self.config().replace(self.certificate.key, other.key), ":6: "),
            (self.config().replace(self.certificate.chain, self.certificate.key), ":6: "),
            (self.config(keys='program = "/nowhere/immured"'),
             ": cannot start immured: No such file or directory"),
        ]
        for text, reason in cases:
            path = self.write(text)
            done = self.run_program("--config", path, "--test")
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertIn(path, done.stderr)
            self.assertIn(reason, done.stderr)

    def test_first_start_fails(self):
        path = self.write(self.config(top="workers = none"))
        done = self.run_program("--config", path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn(f"{path}:3: ", done.stderr)

    def test_usage(self):
        for arguments in (["--nonsense"], [], ["--config", "x", "y"], ["--config"]):
            done = self.run_program(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_help_and_version(self):
        self.assertIn("usage: immure-proxy --config FILE", self.run_program("--help").stdout)
        self.assertRegex(self.run_program("--version").stdout, r"^immure-proxy \d+\.\d+\.\d+\n$")
        self.assertIn("| `handshake-budget` | 100us to 1s | `200us` |",
                      self.run_program("--directives").stdout)

    def test_json_log(self):
        proxy = self.start(top='log = json')
        os.kill(proxy.worker(), signal.SIGKILL)
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
        lines = [json.loads(line) for line in proxy.log().splitlines() if line.startswith("{")]
        self.assertEqual({line["program"] for line in lines}, {"immure-proxy", "immured"})
        self.assertTrue(any("was killed by signal 9" in line["text"] for line in lines))
        if not harness.SANITIZE:
            self.assertEqual(len(lines), len(proxy.log().splitlines()))


if __name__ == "__main__":
    harness.main()

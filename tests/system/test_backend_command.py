"""immure backend: servers of a running immure-proxy are listed, drained, disabled, enabled and weighed."""

import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

import clients
import harness
import proc
from certificates import certificate
from greeters import Greeter, Listeners, PoolTest, greeting

GOOD, FAILED, USAGE, UNREACHABLE = range(4)
CHECKS = "check = tcp  check-interval = 50ms  check-timeout = 500ms  rise = 1  fall = 1"
COMPLETION = os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "completion", "immure.bash")
ROBIN = "balance = round-robin"


@contextlib.contextmanager
def connected(port, name):
    """A connection that has been greeted by this server and stays open."""
    for _ in range(100):
        with clients.connect(port) as connection:
            if connection.recv(100).decode() == name:
                yield connection
                return
    raise AssertionError(f"{name} is never chosen")


@contextlib.contextmanager
def held(port, count):
    """Many connections at a time: counts by the names of the servers."""
    with contextlib.ExitStack() as stack:
        all_of_them = [stack.enter_context(clients.connect(port)) for _ in range(count)]
        yield collections.Counter(connection.recv(100).decode() for connection in all_of_them)


class CommandTest(PoolTest):
    def setUp(self):
        super().setUp()
        self.control = os.path.join(self.directory, "control.sock")
        self.one, self.two = self.own(Greeter("one")), self.own(Greeter("two"))

    def serve(self, *servers, options=ROBIN, **more):
        self.start([certificate("p-256")], *(servers or (self.one.address, self.two.address)), options=options,
                   top=f'control-socket = "{self.control}"', **more)

    def immure(self, *arguments, status=GOOD):
        """Its standard output or, if it is expected to fail, its one line of complaint."""
        verb, *rest = arguments
        result = subprocess.run([harness.program_path("immure"), "backend", verb, "--proxy", self.control, *rest],
                                text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.LIMIT)
        self.assertIsNone(harness.SANITIZER_REPORT.search(result.stderr), result.stderr)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stdout}{result.stderr}")
        if status == GOOD:
            self.assertEqual(result.stderr, "")
            return result.stdout
        self.assertRegex(result.stderr, r"\Aimmure: [^\n]*\n\Z")
        return result.stderr[len("immure: "):-1]

    def change(self, verb, server, *more):
        """Asks for the change, and waits until the worker knows of it. It is told before the answer."""
        self.immure(verb, "app", server.address, *more)
        row = self.listed()[server.address]
        harness.wait_until(lambda: [self.rows()[server.address][name] for name in ("operator", "weight")] ==
                           [row["operator"], row["weight"]], f"{verb} to reach the worker")

    def objects(self, *arguments):
        return [json.loads(line) for line in self.immure(*arguments, "--json").splitlines()]

    def listed(self):
        """{server: its line}"""
        return {each["server"]: each for each in self.objects("list")[:-1]}

    def kill_worker(self):
        worker = self.proxy.worker()
        os.kill(worker, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.worker() not in (0, worker) and self.proxy.ready(), "another worker")

    def heard(self, count=8):
        return collections.Counter(greeting(self.proxy.port) for _ in range(count))

    def assert_refused(self):
        """Clients are closed without a byte."""
        with self.assertRaises(OSError):
            greeting(self.proxy.port)

    def assert_lines(self, count, pattern):
        self.assertEqual(len(re.findall(pattern, self.proxy.log())), count, self.proxy.log())


class Look(CommandTest):
    def test_list(self):
        self.serve((self.one.address, "weight = 3"), f"localhost:{self.two.port}",
                   ("127.0.0.1:1", "backup = yes"), options=CHECKS)
        harness.wait_until(lambda: [each["checks"] for each in self.listed().values()] == ["up", "up", "down"],
                           "the first checks")
        lines = self.immure("list").splitlines()
        self.assertRegex(lines[0], r"\ABACKEND +SERVER +STATE +CHECKS +OPERATOR +WEIGHT +ADDRESSES\Z")
        self.assertRegex(lines[1], rf"\Aapp +{self.one.address} +up +up +enabled +3 +{self.one.address}\Z")
        self.assertRegex(lines[2], rf"\Aapp +localhost:{self.two.port} +up +up +enabled +1 .*127.0.0.1:{self.two.port}")
        self.assertRegex(lines[3], r"\Aapp +127.0.0.1:1 +down,backup +down +enabled +1 +127.0.0.1:1\Z")
        self.assertEqual(len(lines), 4)
        self.assertEqual(self.immure("list", "app").splitlines(), lines)
        *_, last, end = self.objects("list")
        self.assertEqual(last, {"backend": "app", "server": "127.0.0.1:1", "addresses": ["127.0.0.1:1"],
                                "state": "down", "checks": "down", "reason": "Connection refused", "paused": False,
                                "operator": "enabled", "weight": 1, "configured_weight": 1, "backup": True})
        self.assertEqual(end, {"result": "done", "found": 3, "servers": 3})

    def test_a_pause_is_listed(self):
        self.serve(self.one.address, "127.0.0.1:1", options=ROBIN + "  failure-pause = 10m  failure-pause-max = 10m")
        harness.wait_until(lambda: greeting(self.proxy.port) and self.listed()["127.0.0.1:1"]["paused"], "the pause")
        self.assertEqual(self.listed()["127.0.0.1:1"]["state"], "paused")

    def test_many_servers(self):
        """An answer of several pieces."""
        self.serve(self.one.address, *(f"127.1.{number // 200}.{number % 200 + 1}:80" for number in range(2000)))
        self.assertEqual(len(self.listed()), 2001)
        self.immure("drain", "app", "127.1.9.200:80")
        self.assertEqual(self.listed()["127.1.9.200:80"]["operator"], "drained")
        self.immure("weight", "app", "127.1.0.1:80", "7")
        harness.wait_until(lambda: sorted(self.rows()) == ["127.1.0.1:80", "127.1.9.200:80"], "rows of what is set")
        said = self.immure("drain", "app", "127.1.0.1:81", status=FAILED)
        self.assertRegex(said, r"did you mean '127.1.0.1:80'\?; there are: .* and 19\d\d more\Z")

    def complete(self, *line):
        """What bash offers for the last word; it takes a colon for a word."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _immure; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        path = os.path.abspath(harness.BIN) + ":" + os.environ["PATH"]
        result = subprocess.run(["bash", "-c", script, "bash", COMPLETION, "immure", "backend", *line], text=True,
                                env={**os.environ, "PATH": path}, capture_output=True, timeout=harness.LIMIT,
                                check=True)
        return result.stdout.split()

    def test_completion(self):
        self.serve()
        proxy = "--proxy", self.control
        host, port = self.one.address.split(":")
        self.assertEqual(self.complete("drain", *proxy, "a"), ["app"])
        self.assertEqual(self.complete("list", *proxy, "b"), [])
        self.assertEqual(self.complete("drain", *proxy, "app", "127"), [self.one.address, self.two.address])
        self.assertEqual(self.complete("drain", *proxy, "app", host, ":", port[:-1])[0], port)
        self.assertEqual(self.complete("weight", *proxy, "app", host, ":", port, ""), [])

    def test_names_that_there_are_not(self):
        self.serve()
        log = self.proxy.log()
        there = f"there are: {self.one.address}, {self.two.address}"
        for verb, more in (("drain", ()), ("disable", ()), ("enable", ()), ("weight", ("2",))):
            with self.subTest(verb=verb):
                self.assertEqual(self.immure(verb, "ap", self.one.address, *more, status=FAILED),
                                 f"{self.control}: there is no backend 'ap'; did you mean 'app'?; there are: app")
                self.assertEqual(self.immure(verb, "elsewhere", "x", *more, status=FAILED),
                                 f"{self.control}: there is no backend 'elsewhere'; there are: app")
                self.assertEqual(self.immure(verb, "app", self.one.address[:-1], *more, status=FAILED),
                                 f"{self.control}: backend 'app' has no server '{self.one.address[:-1]}'; did you mean "
                                 f"'{self.one.address}'?; {there}")
                self.assertEqual(self.immure(verb, "app", "no where%", *more, status=FAILED),
                                 f"{self.control}: backend 'app' has no server 'no where%'; {there}")
        self.assertIn("there is no backend 'web'", self.immure("list", "web", status=FAILED))
        for weight in ("0", "257", "-1", "1.5", "4294967297", "many", "2x", "99999999999999999999"):
            self.assertIn(f"'{weight}' is no weight: 1 to 256, or default",
                          self.immure("weight", "--", "app", self.one.address, weight, status=FAILED))
        self.assertIn("lacks an argument", self.immure("weight", "app", self.one.address, "", status=FAILED))
        self.assertIn("SERVER is missing", self.immure("drain", "app", status=USAGE))
        self.assertIn("N is missing", self.immure("weight", "app", self.one.address, status=USAGE))
        self.assertEqual(self.proxy.log(), log, "what is refused changes nothing")
        self.assertEqual({each["operator"] for each in self.listed().values()}, {"enabled"})


class Changes(CommandTest):
    def test_drain_and_enable_under_load(self):
        """What the server has goes on, and no client notices."""
        self.serve(options=f"{ROBIN}  {CHECKS}")
        harness.wait_until(lambda: self.listed()[self.one.address]["checks"] == "up", "a check")
        with connected(self.proxy.port, "one") as kept:
            load = self.own(Listeners(self.proxy.port))
            for _ in range(3):
                load.wait_for_more(name="one")
                self.change("drain", self.one)
                harness.wait_until(lambda: len(self.one.open) == 1, "the end of what had been chosen")
                before = load.heard["one"]
                load.wait_for_more(name="two")
                self.assertEqual(load.heard["one"], before)
                self.assertEqual(self.rows()[self.one.address]["connections"], 1)
                self.change("enable", self.one)
                load.wait_for_more(name="one")
            load.close()
            self.assertEqual(load.failures, [])
            kept.settimeout(0.2)
            with self.assertRaises(TimeoutError):  # it is still open
                kept.recv(1)
            kept.sendall(b"x")
        self.assertEqual(self.proxy.metric("immure_backend_errors_total"), 0)
        self.assert_lines(3, rf'control-socket: user {os.geteuid()} \(pid \d+\): backend "app": server '
                             rf'{self.one.address}: enabled -> drained\n')
        self.assert_lines(3, rf"server {self.one.address}: drained -> enabled\n")

    def test_what_is_said_of_it(self):
        self.serve()
        self.change("drain", self.one)
        self.change("weight", self.two, "5")
        rows = self.rows()
        self.assertEqual([rows[self.one.address][name] for name in ("state", "operator", "weight", "operator_weight")],
                         ["drained", "drained", 1, None])
        self.assertEqual([rows[self.two.address][name] for name in ("state", "operator", "weight", "operator_weight")],
                         ["up", "enabled", 5, 5])
        backend = self.proxy.status()["backends"][0]
        self.assertEqual([backend[state] for state in ("up", "down", "paused", "drained", "disabled")], [1, 0, 0, 1, 0])
        metric = self.proxy.metric
        self.assertEqual(metric("immure_backend_servers", backend="app", state="drained"), 1)
        self.assertEqual(metric("immure_backend_server_up", server=self.one.address), 0)
        self.assertEqual(metric("immure_backend_server_weight", server=self.two.address), 5)
        self.assertIn("drained", self.proxy.get("/"))
        self.assertRegex(self.immure("list"), rf"app +{self.one.address} +drained +unknown +drained +1 ")
        self.assertRegex(self.immure("list"), rf"app +{self.two.address} +up +unknown +enabled +5 \(1\) ")
        *line, end = self.objects("disable", "app", self.one.address)
        self.assertEqual(line[0]["operator"], "disabled")
        self.assertEqual(end, {"result": "done", "changed": True, "enabled": 1, "servers": 2})
        self.assertEqual(self.immure("disable", "app", self.one.address), f"app: {self.one.address}: disabled, weight 1\n")
        self.assert_lines(1, "drained -> disabled\n")  # what changes nothing has no line
        self.assert_lines(1, r"weight 1 -> 5\n")

    def test_disable_stops_the_checks(self):
        self.serve(options=f"{ROBIN}  {CHECKS}")
        load = self.own(Listeners(self.proxy.port))
        harness.wait_until(lambda: self.listed()[self.one.address]["checks"] == "up", "a check")
        self.change("disable", self.one)
        harness.wait_until(lambda: not self.one.open, "the end of what had been chosen")
        time.sleep(0.2)  # a check that was under way
        accepted = self.one.accepted
        time.sleep(0.5)
        self.assertEqual(self.one.accepted, accepted)
        self.one.end()
        checker = self.proxy.titled("immure-proxy: checker")
        os.kill(checker, signal.SIGKILL)  # the next one knows
        harness.wait_until(lambda: self.proxy.titled("immure-proxy: checker") not in (0, checker), "another checker")
        time.sleep(0.3)
        self.assertEqual(self.listed()[self.one.address]["checks"], "up", "the verdict stays")
        self.immure("enable", "app", self.one.address)
        harness.wait_until(lambda: self.listed()[self.one.address]["checks"] == "down", "the verdict of a check")
        self.one.begin()
        self.wait_for_state(self.one, "up")
        load.wait_for_more(name="one")
        load.close()
        self.assertEqual(load.failures, [])

    def test_a_drained_server_is_checked(self):
        self.serve(options=f"{ROBIN}  {CHECKS}")
        self.change("drain", self.one)
        self.one.end()
        harness.wait_until(lambda: self.listed()[self.one.address]["checks"] == "down", "the verdict")
        self.assertEqual(self.state(self.one), "drained")
        self.change("enable", self.one)
        self.assertEqual(self.state(self.one), "down")

    def test_weight(self):
        self.serve(workers=1)
        load = self.own(Listeners(self.proxy.port))
        for weight in ("3", "256", "default", "3"):
            self.change("weight", self.one, weight)
            load.wait_for_more()
        load.close()
        self.assertEqual(load.failures, [])
        heard = self.heard(40)
        self.assertAlmostEqual(heard["one"], 30, delta=1)
        self.change("weight", self.two, "3")
        self.assertAlmostEqual(self.heard(40)["one"], 20, delta=1)
        self.change("weight", self.one, "default")
        self.change("drain", self.one)
        self.change("enable", self.one)  # which has nothing to do with weights
        self.assertAlmostEqual(self.heard(40)["two"], 30, delta=1)
        self.change("weight", self.two, "default")
        self.assertAlmostEqual(self.heard(40)["two"], 20, delta=1)
        self.assert_lines(2, r"weight 3 -> 1, as configured\n")

    def test_weight_with_other_balances(self):
        self.serve(workers=1)
        self.change("weight", self.one, "8")
        for balance in ("least-connections", "random-two"):
            with self.subTest(balance=balance):
                self.reload(self.one.address, self.two.address, options=f"balance = {balance}")
                with held(self.proxy.port, 36) as heard:
                    self.assertAlmostEqual(heard["one"], 32, delta=2 if balance == "least-connections" else 5)

    def test_weight_with_source(self):
        self.serve((self.one.address, "weight = 10"), self.two.address, options="balance = source")
        self.assertEqual(self.immure("weight", "app", self.one.address, "11", status=FAILED),
                         f"{self.control}: with balance = source the weight cannot be higher than that of the "
                         "configuration, 10")
        self.change("weight", self.one, "2")
        self.assertEqual(self.listed()[self.one.address]["weight"], 2)
        self.change("drain", self.one)
        self.assertEqual(self.heard(), {"two": 8})

    def test_slow_start_after_enable(self):
        self.serve(options=f"{ROBIN}  slow-start = 10m")
        self.change("drain", self.one)
        self.change("enable", self.one)
        self.assertIn(self.heard(60)["one"], range(1, 13))


class All(CommandTest):
    """All servers of a backend are drained or disabled."""

    def test_clients_are_refused(self):
        self.serve()
        self.change("drain", self.one)
        self.assertIn("app: no server is enabled: its clients are refused\n",
                      self.immure("disable", "app", self.two.address))
        self.wait_for_state(self.two, "disabled")
        accepted = self.one.accepted, self.two.accepted
        for _ in range(5):
            self.assert_refused()
        self.assertEqual((self.one.accepted, self.two.accepted), accepted)
        self.assertEqual(self.proxy.metric("immure_backend_drained_total"), 5)
        self.assertEqual(self.proxy.metric("immure_backend_errors_total"), 0)
        self.assert_lines(1, 'warning: backend "app": the operator has drained or disabled all servers: its clients are')
        self.assertRegex(self.proxy.log(), 'backend "app": a client is closed: the operator has drained or disabled all')
        self.change("enable", self.two)
        self.assertEqual(self.heard(), {"two": 8})

    def test_backup_servers_help(self):
        self.serve(self.one.address, (self.two.address, "backup = yes"))
        self.assertEqual(self.heard(), {"one": 8})
        self.change("drain", self.one)
        self.assertEqual(self.heard(), {"two": 8})
        self.change("drain", self.two)
        self.assert_refused()

    def test_a_server_that_is_down_is_tried_but_not_a_drained_one(self):
        self.serve(options=f"{ROBIN}  {CHECKS}")
        self.one.end()
        self.wait_for_state(self.one, "down")
        self.change("drain", self.two)
        accepted = self.two.accepted
        self.assert_refused()
        self.assertEqual(self.proxy.metric("immure_backend_errors_total"), 1)
        self.change("disable", self.two)
        self.assertGreaterEqual(self.two.accepted, accepted)  # by its checks
        self.assertEqual(self.rows()[self.two.address]["chosen"], 0)

    def test_a_paused_server_is_not_tried(self):
        self.serve(self.one.address, options=f"{ROBIN}  failure-pause = 50ms  failure-pause-max = 50ms")
        self.one.end()
        self.assert_refused()
        self.change("drain", self.one)
        self.one.begin()
        time.sleep(0.1)
        self.assert_refused()
        self.assertEqual(self.one.accepted, 0)
        self.change("enable", self.one)
        self.assertEqual(self.heard(), {"one": 8})

    def test_those_in_the_queue(self):
        self.serve((self.one.address, "max-connections = 1"), options="queue-timeout = 1m")
        with connected(self.proxy.port, "one"):
            results = []

            def wait():
                try:
                    results.append(greeting(self.proxy.port))
                except OSError:
                    results.append("refused")
            thread = threading.Thread(target=wait, daemon=True)
            thread.start()
            self.proxy.wait_for(1, "immure_queued")
            self.change("drain", self.one)
            thread.join(harness.LIMIT)
            self.assertEqual(results, ["refused"])
        self.assertEqual(self.proxy.metric("immure_backend_drained_total"), 1)


class Life(CommandTest):
    """What the operator has set outlives who knows it."""

    def assert_kept(self, three=None):
        self.assertEqual(self.state(self.one), "drained")
        self.assertEqual(self.rows()[self.two.address]["weight"], 3)
        self.assertEqual(self.listed()[self.one.address]["operator"], "drained")
        self.assertEqual(self.listed()[self.two.address]["weight"], 3)
        self.assertNotIn("one", self.heard())
        if three:
            self.assertAlmostEqual(self.heard(40)["two"], 30, delta=1)

    def set(self):
        self.serve(workers=1)
        self.change("drain", self.one)
        self.change("weight", self.two, "3")

    def test_a_new_worker_knows(self):
        self.set()
        for _ in range(2):
            self.kill_worker()
            self.assert_kept()

    def test_hup_keeps_it(self):
        self.set()
        three = self.own(Greeter("three"))
        load = self.own(Listeners(self.proxy.port))
        for _ in range(2):
            self.reload(three.address, self.two.address, self.one.address, options=f"{ROBIN}  failure-pause = 7s")
            self.assert_kept()
            self.reload(self.one.address, three.address, (self.two.address, "weight = 2"))
            self.assert_kept()
        load.close()
        self.assertEqual(load.failures, [])
        self.reload(self.one.address, three.address, self.two.address)
        self.assert_kept(three)
        self.change("weight", self.two, "default")
        self.assertAlmostEqual(self.heard(40)["two"], 20, delta=1)
        self.reload(self.two.address, three.address)  # a server that leaves is forgotten
        self.reload(self.two.address, three.address, self.one.address)
        self.assertEqual(self.state(self.one), "up")
        self.assertIn("one", self.heard())

    def newest_master(self):
        return max((pid for pid in proc.children(self.proxy.pid)
                    if proc.title(pid).startswith("immure-proxy: master")), default=0)

    def end_master(self, pid):
        if proc.alive(pid):
            os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not proc.alive(pid), f"the end of master {pid}")

    def test_an_upgrade_keeps_it(self):
        self.set()
        load = self.own(Listeners(self.proxy.port))
        self.proxy.signal(signal.SIGUSR2)
        self.addCleanup(self.end_master, harness.wait_until(self.newest_master, "a new master"))
        harness.wait_until(lambda: not proc.alive(self.proxy.pid), "the end of the old master")
        self.assert_kept()
        load.close()
        self.assertEqual(load.failures, [])
        self.immure("enable", "app", self.one.address)
        harness.wait_until(lambda: "one" in self.heard(), "the enabled server")

    def test_a_restart_forgets_it(self):
        self.set()
        self.proxy.stop()
        self.serve(workers=1)
        self.assertEqual({each["operator"] for each in self.listed().values()}, {"enabled"})
        self.assertAlmostEqual(self.heard(40)["one"], 20, delta=1)

    def test_hup_with_source_drops_a_weight_without_room(self):
        self.set()
        self.reload(self.one.address, self.two.address, options="balance = source")
        self.assertEqual(self.rows()[self.two.address]["weight"], 1)
        self.assertEqual(self.state(self.one), "drained")
        self.assertRegex(self.proxy.log(), rf"server {self.two.address}: the operator's weight 3 is not kept")

    def test_a_configuration_that_is_coming_up_hears_of_it(self):
        self.serve()
        text = self.proxy.config
        for number in range(8):
            verb, state = (("drain", "drained"), ("enable", "enabled"))[number % 2]
            before = self.proxy.log().count("is in force")
            self.proxy.write_config(f"idle-timeout = {10 + number}m\n{text}")
            self.proxy.signal(signal.SIGHUP)
            time.sleep(0.02 * number)
            self.immure(verb, "app", self.one.address)
            harness.wait_until(lambda before=before: self.proxy.log().count("is in force") > before, "the reload")
            self.assertEqual(self.listed()[self.one.address]["operator"], state)
            harness.wait_until(lambda state=state: self.rows()[self.one.address]["operator"] == state, state)

    def test_two_operators(self):
        """Each change is one of them, whole; the last one holds."""
        self.serve()
        load = self.own(Listeners(self.proxy.port, threads=2))
        ends = []

        def work(server, weight):
            for number in range(10):
                ends.append(self.objects(("disable", "enable")[number % 2], "app", server)[-1])
                ends.append(self.objects("weight", "app", self.two.address, weight)[-1])
        threads = [threading.Thread(target=work, args=(self.one.address, weight)) for weight in ("7", "9")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([end["result"] for end in ends], ["done"] * 40)
        listed = self.listed()
        self.assertEqual(listed[self.one.address]["operator"], "enabled")
        self.assertIn(listed[self.two.address]["weight"], (7, 9))
        self.assert_lines(sum(end["changed"] for end in ends), r"control-socket: user \d+ \(pid \d+\): backend")
        harness.wait_until(lambda: self.rows()[self.two.address]["weight"] == listed[self.two.address]["weight"],
                           "the weight that holds")
        load.close()
        self.assertEqual(load.failures, [])


if __name__ == "__main__":
    harness.main()

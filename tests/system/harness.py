"""
What every system test stands on: the programs under test, started with a configuration, watched,
and stopped. A test fails when a program ended that should not have, or printed a sanitizer's report;
the logs of its programs are printed when it fails.

    IMMURE_BIN         the folder of the programs (ctest sets it)
    IMMURE_SANITIZE    the sanitizers they were built with, or empty
    IMMURE_LONG        if set, tests of endurance run at their full size (script/endure)
"""

import contextlib
import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import proc

BIN = os.path.abspath(os.environ.get(
    "IMMURE_BIN", os.path.join(os.path.dirname(__file__), "../../build/release/bin")))
SANITIZE = os.environ.get("IMMURE_SANITIZE", "")
LONG = bool(os.environ.get("IMMURE_LONG"))
QUIET = 0.1  # the share of CPU time that others may use while times are judged
LIMIT = 60.0  # seconds that anything may take, on a busy machine

# The directories of servers, for users other than root.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
# A shell's 1024 descriptors are not enough for a thousand clients.
HARD_LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (HARD_LIMIT, HARD_LIMIT))
# Tests compare messages, also of other programs.
os.environ["LC_ALL"] = "C.UTF-8"

# Starts a program with signals ignored and blocked as by a careless parent. The program must reset
# them.
DEAF = ("env", "--ignore-signal=CHLD,HUP,TERM,PIPE,USR2", "--block-signal=CHLD,HUP,TERM,USR2")

SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Sanitizer:DEADLYSIGNAL")


def scaled(plain, sanitized):
    """A count or time for a normal build, and one for a slow (sanitizer) build."""
    return sanitized if SANITIZE else plain


def endured(brief, full):
    """A count in the ordinary test run (a third of it with sanitizers), and in script/endure."""
    return full if LONG else scaled(brief, brief // 3)


def program_path(name):
    return os.path.join(BIN, name)


def needs(*programs):
    """Decorator: SKIPPED unless these external programs are installed."""
    absent = [name for name in programs if shutil.which(name) is None]
    return unittest.skipIf(absent, f"not installed: {', '.join(absent)}")


def not_sanitized(reason):
    return unittest.skipIf(SANITIZE, f"not with -fsanitize={SANITIZE}: {reason}")


def needs_root(reason):
    return unittest.skipIf(os.geteuid() != 0, f"needs root: {reason}")


def wait_until(condition, what, limit=None, pause=0.02):
    """Polls until condition() is true, and returns its value. The description is a text, or a
    function that reports the progress."""
    deadline = time.monotonic() + (limit or LIMIT)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out waiting for: {what() if callable(what) else what}")
        time.sleep(pause)


def seconds_of(call, *arguments):
    begin = time.monotonic()
    call(*arguments)
    return time.monotonic() - begin


def assert_within(most, measure, tries=5):
    """measure() returns a duration in seconds, or a share, which must be less than `most` in one of
    a few tries, because other load may delay some of them."""
    took = []
    while len(took) < tries:
        took.append(measure())
        if took[-1] < most:
            return
    raise AssertionError(f"it was {most} or more each time: {took}")


ports = {}  # port: the lock that keeps other tests from taking it


def free_port():
    """A free port outside the kernel's range for clients. It is reserved for this process until it
    ends, whether or not anybody listens on it."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket.socket() as attempt:
            try:
                claim.bind(f"\0immure-test-port-{port}")
                attempt.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        ports[port] = claim
        return port


class Program:
    """A program under test. Its standard error goes to its log, or to the given file. `starter` is
    a command that executes the program."""

    def __init__(self, directory, name, *arguments, uid=None, environment=None, stderr=None, starter=(),
                 pass_fds=()):
        self.name = os.path.basename(name)  # a path means an external program
        self.log_path = os.path.join(directory, f"{self.name}-{time.monotonic_ns()}.log")
        self.expected_status = 0  # or several, if an external program may return any of them
        self.trespasses = False  # whether seccomp may kill it
        identity = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*starter, program_path(name), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=stderr or log, cwd=directory,
                start_new_session=True, env=environment, pass_fds=pass_fds, **identity)
        self.pid = self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit=None):
        """The exit status."""
        try:
            return self.process.wait(limit or LIMIT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end") from None

    def stop(self):
        """Terminates it if it runs, and returns a list of what was wrong."""
        wrong = []
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                status = self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                wrong.append(f"{self.name} did not end after TERM")
                os.killpg(self.pid, signal.SIGKILL)
                status = self.process.wait()
        else:
            status = self.process.returncode
        expected = self.expected_status
        if status not in (expected if isinstance(expected, tuple) else (expected,)):
            wrong.append(f"{self.name} ended with status {status}, not {self.expected_status}")
        if "Bad system call" in self.log() and not self.trespasses:
            wrong.append(f"a process of {self.name} was killed for a system call that is not on its list")
        report = SANITIZER_REPORT.search(self.log())
        if report:
            wrong.append(f"{self.name} printed a report: {report.group(0)}")
        return wrong


class Proxy(Program):
    """immure-proxy with a configuration that has an admin listener on `admin_port`."""

    def __init__(self, directory, config, port, admin_port, program="immure-proxy", **options):
        """options are those of Program."""
        self.config_path = os.path.join(directory, f"proxy-{port}.conf")
        self.port = port
        self.admin_port = admin_port
        self.write_config(config)
        super().__init__(directory, program, "--config", self.config_path, **options)

    def write_config(self, text):
        self.config = text
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def get(self, path):
        """An old worker may accept the question just after HUP and end before it answers: one more
        attempt then reaches the new one."""
        with contextlib.suppress(ConnectionResetError, http.client.RemoteDisconnected):
            return self.get_once(path)
        return self.get_once(path)

    def get_once(self, path):
        address = f"http://127.0.0.1:{self.admin_port}{path}"
        with urllib.request.urlopen(address, timeout=LIMIT) as answer:
            return answer.read().decode()

    def status(self):
        return json.loads(self.get("/status.json"))

    def metrics(self):
        """{name: {labels as a frozenset of (name, value): number}}"""
        found = {}
        for line in self.get("/metrics").splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and not line.startswith("#"):
                labels = frozenset(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
                found.setdefault(match.group(1), {})[labels] = float(match.group(3))
        return found

    def metric(self, name, **labels):
        """The sum of this metric's rows that carry these labels."""
        rows = self.metrics().get(name, {})
        return sum(value for have, value in rows.items() if have >= set(labels.items()))

    def wait_for(self, expected, name, **labels):
        """Waits until the metric has this value, because a client may see an event before it is
        counted."""
        wait_until(lambda: self.metric(name, **labels) == expected,
                   lambda: f"{name} {labels} to be {expected}, not {self.metric(name, **labels)}")

    def ready(self):
        if not self.running():
            raise AssertionError(f"immure-proxy ended with status {self.process.returncode}")
        try:
            self.get("/status.json")
            return True
        except (OSError, http.client.HTTPException):
            return False

    def worker(self):
        """The process id of the (newest) worker, or 0. It is found by its title, because a child
        that was just forked still has the master's name."""
        return self.titled("immure-proxy: worker")

    def titled(self, title):
        """The process id of the newest child of this title, or 0."""
        return proc.newest(pid for pid in proc.children(self.pid) if proc.title(pid) == title)

    def immured(self):
        """The process id of its own immured, 0 while there is none."""
        return next((pid for pid in proc.children(self.pid)
                     if proc.program(pid).startswith("immured")), 0)


def proxy_config(port, admin_port, certificates, backend, *, workers=2, signing="async",
                 top="", frontend="", backend_options="", keys="threads = 2"):
    """A configuration with one frontend and one backend; the texts are added where their names
    say."""
    rows = "\n".join(f'    certificate {{ chain = "{each.chain}"  key = "{each.key}" }}'
                     for each in certificates)
    return f"""\
workers = {workers}
signing = {signing}
{top}
frontend "https" {{
    listen = {{ "127.0.0.1:{port}" }}
{rows}
    backend = "app"
    {frontend}
}}
backend "app" {{
    address = "{backend}"
    {backend_options}
}}
admin {{ listen = "127.0.0.1:{admin_port}" }}
keys {{
    {keys}
}}
"""


class SystemTest(unittest.TestCase):
    """A folder of its own, and programs that are stopped and judged at the end."""

    def setUp(self):
        for name in ("immured", "immure-proxy"):
            if not os.access(program_path(name), os.X_OK):
                self.fail(f"{program_path(name)} is not built; IMMURE_BIN says where programs are")
        self.directory = tempfile.mkdtemp(prefix="immure-test-")
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.programs = []
        self.addCleanup(self.stop_programs)

    def stop_programs(self):
        wrong = [line for program in reversed(self.programs) for line in program.stop()]
        outcome = self._outcome
        failed = wrong or not outcome.success
        for program in self.programs if failed else ():
            sys.stderr.write(f"--- log of {program.name} {program.pid}\n{program.log()[-6000:]}---\n")
        self.assertEqual(wrong, [])

    def own(self, closable):
        """Closes the object at the end of the test, before the programs stop. Returns it."""
        self.addCleanup(closable.close)
        return closable

    def judge_when_quiet(self, others):
        """Skips the rest of the test if others used more than this share of the CPU time
        (proc.busy)."""
        if others > QUIET:
            self.skipTest(f"not timed: others used {others:.0%} of the CPU time")

    def start_proxy(self, certificates, backend, **options):
        """Starts immure-proxy and waits until it serves; options are those of proxy_config()."""
        port, admin_port = free_port(), free_port()
        return self.start_proxy_with(proxy_config(port, admin_port, certificates, backend, **options),
                                     port, admin_port)

    def start_proxy_with(self, config, port, admin_port, **options):
        """options are those of Proxy."""
        proxy = Proxy(self.directory, config, port, admin_port, **options)
        self.programs.append(proxy)
        wait_until(proxy.ready, "immure-proxy's admin page")
        return proxy

    def start_program(self, name, *arguments, **options):
        """options are those of Program."""
        program = Program(self.directory, name, *arguments, **options)
        self.programs.append(program)
        return program


def main():
    """The main function of a test file. Exit status 77 tells ctest that everything was SKIPPED."""
    program = unittest.main(exit=False)
    result = program.result
    for test, reason in result.skipped:
        print(f"SKIPPED {test.id()}: {reason}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun and len(result.skipped) == result.testsRun else 0)

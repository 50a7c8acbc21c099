"""The environment of the benchmarks: programs, cores, and a storm at one server."""

import contextlib
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

import harness  # noqa: E402 (starts the programs as the tests do)
from certificates import certificate  # noqa: E402

# All processes of the server run on one core, and the clients on the others. If there is only one
# core, all share it.
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = set(CORES[:1])
CLIENT_CORES = set(CORES[1:]) or SERVER_CORES
# For a storm that saturates the server's core. One core of clients is not enough for that, so with
# two cores the storm uses the server's core too.
STORM_CORES = CLIENT_CORES if len(CLIENT_CORES) > 1 else set(CORES)


CONNECTIONS = 64  # in a closed loop


@contextlib.contextmanager
def on(cores):
    """Pins everything that is started inside the `with` block to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Child:
    """A program of bench/ that prints its port first and runs until it is terminated."""

    def __init__(self, path, *arguments, cores):
        with on(cores):
            self.process = subprocess.Popen([path, *arguments], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Setting:
    def __init__(self, directory):
        self.directory = directory
        self.tools = os.path.join(os.path.dirname(os.path.abspath(harness.BIN)), "bench")

    def tool(self, name):
        path = os.path.join(self.tools, name)
        if not os.access(path, os.X_OK):
            raise SystemExit(f"bench: {path} is not built; script/bench builds it")
        return path

    def responder(self):
        return Child(self.tool("bench-responder"), cores=CLIENT_CORES)

    @contextlib.contextmanager
    def proxy(self, key, mode, backend_port, signing_backend="", top="", frontend=""):
        """immure-proxy with one event loop and one signer thread."""
        port, admin_port = harness.free_port(), harness.free_port()
        choice = f'\n    backend = "{signing_backend}"' if signing_backend else ""
        config = harness.proxy_config(port, admin_port, [certificate(key)],
                                      f"127.0.0.1:{backend_port}", workers=1, signing=mode, top=top,
                                      frontend=frontend, keys="threads = 1" + choice)
        with on(SERVER_CORES):
            proxy = harness.Proxy(self.directory, config, port, admin_port)
        try:
            harness.wait_until(proxy.ready, "immure-proxy")
            yield proxy
        finally:
            wrong = proxy.stop()
            if wrong:
                sys.stderr.write(proxy.log()[-3000:])
                raise SystemExit("bench: " + "; ".join(wrong))

    def storm(self, target, *arguments, saturate=False):
        """Runs immure-storm and returns its summary. `saturate`: uses as many threads as cores."""
        cores = STORM_CORES if saturate else CLIENT_CORES
        report = os.path.join(self.directory, "storm.json")
        command = [harness.program_path("immure-storm"), target, "--unchecked", *map(str, arguments),
                   "--threads", str(len(cores) if saturate else 1), "--json", report]
        with on(cores):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=300)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(command)}: {done.stderr.strip()}")
        with open(report, encoding="utf-8") as file:
            summary = json.loads(file.readlines()[-1])
        if saturate:  # it is always busy here, on purpose
            summary["warnings"] = [each for each in summary["warnings"]
                                   if not each.startswith("immure-storm itself is the limit")]
        return summary


def cpu_of(summary):
    """CPU time per handshake from a storm's summary, in microseconds: (the server's, immured's)."""
    cost = summary["cost"]
    if cost is None:
        return None, None
    per = 1e6 / cost["handshakes"]
    immured = sum(spent for name, spent in cost["processes"].items()
                  if name.startswith("immured"))
    return (cost["cpu_seconds"] - immured) * per, immured * per

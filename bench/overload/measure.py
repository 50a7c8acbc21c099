"""One run: a storm at one server, and the server's own figures, sampled each second."""

import json
import math
import shlex
import subprocess
import time

import harness
import quantiles
import servers
from setting import CLIENT_CORES, SERVER_CORES, on

METRICS_QUANTILES = {"P50": "0.5", "P99": "0.99", "P99.9": "0.999", "P99.99": "0.9999",
                     "P99.9999": "0.999999"}
ONE_IN = {"P50": 2, "P90": 10, "P99": 100, "P99.9": 1000, "P99.99": 10_000, "P99.9999": 1_000_000}


def storm_command(port, plan, *load):
    return ["immure-storm", f"127.0.0.1:{port}", *map(str, load), "--tls", plan.tls,
            "--unchecked", "--request", "/", "--max-open", "20000"]


def start(command):
    with on(CLIENT_CORES):
        return subprocess.Popen([harness.program_path(command[0]), *command[1:], "--json", "-"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)


def ended(process, command):
    errors = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    if process.wait() != 0:
        raise SystemExit(f"overload: {shlex.join(command)}: {errors.strip()}")


def probing(plan):
    return "--probes", plan.probes, "--probe-rate", plan.probe_rate


def capacity(setting, plan, key):
    """The handshakes per second that the server can do with the key in its own process, while it
    serves the established connections."""
    with setting.responder() as backend, \
            servers.running(setting, plan, "in-process", key, backend.port) as server:
        if plan.ahead:
            servers.put_ahead(server.pid)
        command = storm_command(server.port, plan, "--concurrency", 32, "--warmup", 0.5,
                                "--duration", plan.calibration, *probing(plan))
        process = start(command)
        lines = process.stdout.readlines()
        ended(process, command)
        summary = json.loads(lines[-1])
    if summary["full"] == 0:
        raise SystemExit(f"overload: no handshake in {summary['seconds']:.1f} s: this machine does too much else")
    return summary["full"] / summary["seconds"]


class Sample:
    """A snapshot of the server."""

    def __init__(self, server, admin):
        self.at = time.monotonic()
        self.cpu = servers.cpu_by_program(server.pid)
        self.core = servers.core_busy(SERVER_CORES)
        self.status = server.status() if admin else None

    @property
    def handshakes(self):
        return sum(row["full"] + row["resumed"] for row in self.status["handshakes"].values())

    @property
    def turns(self):
        return quantiles.added([row["turn_buckets"] for row in self.status["threads"]])


def shares(before, after):
    """{program: its share of a core} between two samples; "others" is what other processes used of
    the server's cores."""
    seconds = after.at - before.at
    found = {name: max(0.0, (spent - before.cpu.get(name, 0)) / seconds)
             for name, spent in after.cpu.items()}
    found["others"] = max(0.0, (after.core - before.core) / seconds - sum(found.values()))
    return found


def second(row, before, after):
    """Combines a line of immure-storm with the server's own figures for the same second."""
    found = {name: row[name] for name in ("at", "warmup", "full", "failed", "answered", "lost")}
    found["probe"], found["handshake"] = row["probe_seconds"], row["handshake_seconds"]
    found["shares"] = shares(before, after)
    if after.status is not None:
        bounds = after.status["turn_bucket_seconds"]
        turns = quantiles.difference(after.turns, before.turns)
        found["turns"] = turns[-1]
        found["turn"] = {name: quantiles.of_buckets(bounds, turns, one_in)
                         for name, one_in in ONE_IN.items()}
    return found


def worker_cpu(begin, end):
    """immure-proxy's CPU seconds per handshake in the measured part, by its own count."""
    handshakes = end.handshakes - begin.handshakes
    spent = end.status["process"]["cpu_seconds"] - begin.status["process"]["cpu_seconds"]
    return spent / handshakes if handshakes else None


def turns_in_metrics(server):
    rows = server.metrics()["immure_loop_turn_all_seconds"]
    found = {name: rows[frozenset({("quantile", label)})]
             for name, label in METRICS_QUANTILES.items()}
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def own_figures(server, begin, end):
    """immure-proxy's own figures: turns since its start, and its counters."""
    last = Sample(server, True)
    return {
        "bounds": last.status["turn_bucket_seconds"],
        "turns": last.turns,
        "metrics": {
            "full": server.metric("immure_handshakes_total", result="full"),
            "turn": turns_in_metrics(server),
            "worker_cpu": worker_cpu(begin, end),
        },
        "openssl": last.status["openssl"],
        "version": last.status["version"],
    }


def run(setting, plan, key, name, rate):
    """The record of one storm at one server, as plain data."""
    with setting.responder() as backend, \
            servers.running(setting, plan, name, key, backend.port) as server:
        admin = name not in servers.PEERS
        if plan.ahead:
            servers.put_ahead(server.pid)
        command = storm_command(
            server.port, plan, "--rate", f"{rate:.1f}", "--warmup", plan.warmup, "--duration",
            plan.seconds, *probing(plan), "--cost", server.pid)
        process = start(command)
        samples, seconds, summary = [Sample(server, admin)], [], None
        for line in process.stdout:
            row = json.loads(line)
            if row["type"] == "summary":
                summary = row
                break
            samples.append(Sample(server, admin))
            seconds.append(second(row, samples[-2], samples[-1]))
        ended(process, command)
        warm = sum(each["warmup"] for each in seconds)
        measured = min(len(samples) - 1, warm + round(summary["seconds"]))
        return {
            "key": key, "server": name, "rate": rate, "command": shlex.join(command),
            "config": server.config, "seconds": seconds, "summary": summary,
            "shares": shares(samples[warm], samples[measured]),
            **(own_figures(server, samples[warm], samples[measured]) if admin else {}),
        }

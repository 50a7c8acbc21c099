#!/usr/bin/env python3
"""The overload experiment: a storm of handshakes at immure-proxy in each signing mode, in
alternating rounds, and its effect on established connections, as a page of pictures."""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from setting import CLIENT_CORES, ROOT, SERVER_CORES, Setting  # noqa: E402  (and the tests' path)

import findings  # noqa: E402
import measure  # noqa: E402
import medians  # noqa: E402
import page  # noqa: E402
import servers  # noqa: E402
import standalone  # noqa: E402

KEYS = ("rsa-4096", "rsa-2048", "p-256")
LONG_TURNS = 10_000_000  # per mode, so that ten lie beyond P99.9999


def arguments():
    parser = argparse.ArgumentParser(prog="script/overload", description=__doc__)
    parser.add_argument("--key", action="append", choices=KEYS, help="this key (repeatable; default: all)")
    parser.add_argument("--server", action="append", metavar="NAME",
                        help=f"this one (repeatable): {', '.join(servers.MODES)}, a mode and a signing "
                             "backend (\"async NAME\"), or a peer; default: all modes and backends")
    parser.add_argument("--peers", action="store_true",
                        help=f"the peers that are installed too: {', '.join(servers.PEERS)}")
    parser.add_argument("--tls", default="1.3", choices=("1.2", "1.3"), help="default 1.3")
    parser.add_argument("--priority", default="real-time", choices=("real-time", "normal"),
                        help="of immure-proxy's event loops: they share a core with all else of the "
                             "server (real-time, which takes root)")
    parser.add_argument("--load", type=float, default=0.8, metavar="SHARE",
                        help="of what the server can do in-process (0.8); above 1 its queues grow")
    parser.add_argument("--rate", type=float, metavar="R", help="handshakes a second, in place of --load")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="of each storm (10)")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before, not measured (1)")
    parser.add_argument("--probes", type=int, default=200, help="established connections (200)")
    parser.add_argument("--probe-rate", type=float, default=6.0, metavar="R",
                        help="requests a second on each of them (6)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one key, one short round")
    parser.add_argument("--long", action="store_true",
                        help="rounds of a minute, until each mode has made ten million turns for "
                             "P99.9999: hours")
    parser.add_argument("--ahead", action="store_true",
                        help="ahead of what else this machine runs (root; Linux's autogroups)")
    parser.add_argument("--output", default=os.path.join(ROOT, "report"), metavar="FOLDER",
                        help="default: report")
    parser.add_argument("--from", dest="saved", metavar="FILE",
                        help="draw the runs of this file (runs.jsonl of a report) again; measure nothing")
    given = parser.parse_args()
    given.key = given.key or (("rsa-2048",) if given.quick else KEYS)
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.seconds = given.seconds or (3.0 if given.quick else 60.0 if given.long else 10.0)
    given.calibration = 1.5 if given.quick else 3.0
    if given.rounds < 1 or not 1 <= given.seconds <= 3600 or not 0 <= given.warmup <= 600:
        parser.error("--rounds is at least 1, --seconds 1 to 3600, --warmup 0 to 600")
    if not 0 < given.load <= 10 or not 1 <= given.probes <= 10000:
        parser.error("--load is above 0 and at most 10, --probes 1 to 10000")
    return given


def say(text):
    print(text, file=sys.stderr, flush=True)


def chosen(given, directory):
    """The servers of this run. Names are checked first, so that a mistake wastes no
    measurements."""
    peers = servers.installed_peers()
    names = given.server or [*servers.MODES, *(f"async {each}" for each in servers.slower_backends(directory))]
    names += [each for each in peers if given.peers and each not in names]
    for name in names:
        if name in servers.PEERS and name not in peers:
            raise SystemExit(f"overload: --server {name}: not installed")
        if name not in servers.PEERS and name.partition(" ")[0] not in servers.MODES:
            raise SystemExit(f"overload: --server {name}: not one of {', '.join(servers.MODES)}, "
                             f"{', '.join(servers.PEERS)}")
    if given.peers and not peers:
        say("overload: no peer is installed")
    return names


def turned(names, number):
    first = number % len(names)
    return names[first:] + names[:first]


def enough(runs, names):
    """Whether every mode has ten million turns."""
    turns = {name: sum(run["turns"][-1] for run in runs if run["server"] == name)
             for name in names if name not in servers.PEERS}
    say("overload: turns so far: " + ", ".join(f"{name} {count:,}" for name, count in turns.items()))
    return min(turns.values(), default=LONG_TURNS) >= LONG_TURNS


def progress(run):
    summary = run["summary"]
    probe = summary["probe_seconds"]
    shown = next((f"{name} {probe[name] * 1e3:.2f} ms" for name in ("P99.9", "P99", "P90", "P50")
                  if probe[name] is not None), "no probes")
    say(f"  {run['server']:<12} {summary['full'] / summary['seconds']:6.0f} handshakes/s, "
        f"{summary['failed']} failed; established connections {shown}")


def storms_of(setting, given, key, names, keep):
    """All rounds with one key."""
    rate = given.rate or given.load * measure.capacity(setting, given, key)
    runs, number = [], 0
    while number < given.rounds or (given.long and not enough(runs, names)):
        say(f"overload: {key}, {rate:.0f} handshakes/s, round {number + 1}"
            f"{'' if given.long else f' of {given.rounds}'}")
        for name in turned(names, number):
            runs.append(measure.run(setting, given, key, name, rate))
            progress(runs[-1])
            keep(runs[-1])
        number += 1
    return runs


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")),
                    platform.machine())


def system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def cores(numbers):
    return ", ".join(map(str, sorted(numbers)))


def machine(given, runs):
    own = next((run for run in runs if "openssl" in run), None)
    facts = {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "system": f"{system()}, Linux {platform.release()}",
        "immure": f"{own['version']}, OpenSSL {own['openssl']}" if own else "not among the servers",
        **{name: servers.version(name) for name in servers.PEERS
           if any(run["server"] == name for run in runs)},
        "server's core": cores(SERVER_CORES),
        "cores of immure-storm and the backend": cores(CLIENT_CORES),
        "busy": f"load average {os.getloadavg()[0]:.1f} at the end of the experiment",
    }
    return {"facts": facts, "date": time.strftime("%Y-%m-%d %H:%M"),
            "command": shlex.join(["script/overload", *sys.argv[1:]]),
            "load": given.load, "rate": given.rate, "ahead": given.ahead}


def measured(given):
    """Measures, and saves each run to a file as soon as it is done."""
    os.makedirs(given.output, exist_ok=True)
    os.sched_setaffinity(0, CLIENT_CORES)
    if given.ahead:
        servers.put_ahead("self")
    runs = []
    with tempfile.TemporaryDirectory(prefix="immure-overload-") as directory, \
            open(os.path.join(given.output, "runs.jsonl"), "w", encoding="utf-8") as file:
        os.chmod(directory, 0o755)
        setting = Setting(directory)
        names = chosen(given, directory)

        def keep(line):
            file.write(json.dumps(line) + "\n")
            file.flush()

        for key in given.key:
            runs += storms_of(setting, given, key, names, keep)
        about = machine(given, runs)
        keep(about)
    return runs, about


def saved(path):
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [line for line in lines if "server" in line], lines[-1]


def main():
    given = arguments()
    if given.saved:
        runs, about = saved(given.saved)
        os.makedirs(given.output, exist_ok=True)
    else:
        runs, about = measured(given)
    storms = findings.ordered(runs)
    path = os.path.join(given.output, "index.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(page.render(storms, about))
    standalone.write(given.output, storms)
    print(medians.table(storms))
    for each in findings.claims(storms):
        met = {True: "met", False: "MISSED", None: "cannot be said"}[each["met"]]
        note = f"; {each['note']}" if each["note"] else ""
        print(f"{met:<8} {each['text']}: {each['measured']} ({each['goal']}){note}")
    print(os.path.relpath(path))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a handshake costs with the key in another process, and what it does to everybody else:
immure-proxy in its three signing modes, in alternating rounds, on loopback."""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import dropin_nginx
import fast_handshake
import neighbours
import sections
import signatures
import system_calls
from setting import CLIENT_CORES, SERVER_CORES, Setting

MODES = ("async", "sync", "in-process")
SECTIONS = ("handshakes", "turns", "exchange", "adapters", "signatures", "neighbours", "memory", "proxies",
            "calls", "idle", "generator", "dropin")
# How much CPU time of the in-process mode's an asynchronous handshake may take: isolation at negative cost
KEYS = {"p-256": 1.05, "rsa-2048": 0.85, "rsa-4096": 0.40, "p-384": 0.30}
STORM_LOAD = 0.5  # of the server's core in-process, in the section `turns`


def arguments():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one short round")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="this section (repeatable)")
    parser.add_argument("--key", action="append", choices=KEYS, help="this key (repeatable)")
    parser.add_argument("--tls", action="append", choices=("1.2", "1.3"), help="this version")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="of each storm; default 3 (turns: 8)")
    parser.add_argument("--json", metavar="FILE", help="all rounds, to look at later")
    given = parser.parse_args()
    if (given.rounds is not None and given.rounds < 1) or \
            (given.seconds is not None and not 0.5 <= given.seconds <= 3600):
        parser.error("--rounds is at least 1, --seconds 0.5 to 3600")
    given.only = given.only or SECTIONS
    given.key = given.key or (("p-256",) if given.quick else tuple(KEYS))
    given.tls = given.tls or (("1.3",) if given.quick else ("1.3", "1.2"))
    given.rounds = given.rounds or (1 if given.quick else 3)
    return given


def median(rounds, name):
    """Of the rounds that have the figure; None if fewer than half do."""
    values = [each[name] for each in rounds if each[name] is not None]
    return statistics.median(values) if 2 * len(values) > len(rounds) else None


def ratio(rounds, name, over="in-process"):
    """{mode: ratio of medians to the mode `over`}"""
    base = median(rounds[over], name)
    return {mode: median(each, name) / base if base and median(each, name) is not None else None
            for mode, each in rounds.items()}


def cell(value, form="{:.0f}", scale=1):
    return "" if value is None else form.format(value * scale)


def print_table(head, rows):
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    line = "| " + " | ".join(f"{{:{'<' if i < 2 else '>'}{width}}}"
                             for i, width in enumerate(widths)) + " |"
    print(line.format(*head))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(line.format(*row))
    print(flush=True)


MODE_HEAD = ("CPU us", "proxy", "immured", "of in-process", "handshakes/s", "probe P50 ms", "P99 ms",
             "turn P50 ms", "P99 ms", "P99.9 ms")


def mode_row(rounds, mode):
    each = rounds[mode]
    return (cell(median(each, "cpu")), cell(median(each, "cpu_proxy")),
            cell(median(each, "cpu_immured")), cell(ratio(rounds, "cpu")[mode], "{:.2f}"),
            cell(median(each, "rate")),
            *(cell(median(each, name), "{:.3f}", 1e3)
              for name in ("probe_p50", "probe_p99", "turn_p50", "turn_p99", "turn_p999")))


def alternate(rounds):
    """The modes of each round, each time beginning with another one."""
    for number in range(rounds):
        first = number % len(MODES)
        yield from MODES[first:] + MODES[:first]


def measure_handshakes(setting, given):
    """{(key, tls): {mode: [figures]}}"""
    found = {}
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    for key in given.key:
        for tls in given.tls:
            rounds = found[key, tls] = {mode: [] for mode in MODES}
            for mode in alternate(given.rounds):
                rounds[mode].append(sections.handshakes(setting, key, tls, mode, seconds))
    print(f"## Handshakes: closed loop of {sections.CONNECTIONS}, full, with a small GET; "
          f"{sections.PROBES} established connections at {sections.PROBE_RATE}/s each beside them")
    print(f"\nMedians of {given.rounds} alternating round(s) of {seconds:g} s; CPU is user + system "
          "per handshake, the probes' share included.\n")
    print_table(("key, TLS", "signing", *MODE_HEAD),
                [(f"{key}, {tls}", mode, *mode_row(rounds, mode))
                 for (key, tls), rounds in found.items() for mode in MODES])
    return found


def measure_turns(setting, given):
    key = "rsa-4096"
    seconds = given.seconds or (3.0 if given.quick else 8.0)
    rate = STORM_LOAD * sections.capacity(setting, key)
    rounds = {mode: [] for mode in MODES}
    for mode in alternate(given.rounds):
        rounds[mode].append(sections.turns(setting, key, mode, rate, seconds))
    print(f"## Turns: open loop of {rate:.0f} handshakes/s ({STORM_LOAD:.0%} of a core in-process"
          f"), {key}, TLS 1.3; {sections.PROBES} established connections at "
          f"{sections.TURN_PROBE_RATE}/s each\n")
    print_table(("key, TLS", "signing", *MODE_HEAD),
                [(f"{key}, 1.3", mode, *mode_row(rounds, mode)) for mode in MODES])
    return rounds


def measure_exchange(setting, given):
    seconds = 1.0 if given.quick else 3.0
    rounds = [sections.exchange(setting, seconds) for _ in range(given.rounds)]
    for each in rounds:
        each["total_us"] = each["client_us"] + each["immured_us"]
    print(f"## Exchange: CPU of a signature without the signature, {sections.WINDOW} under way\n")
    print_table(("", "", "total us", "client us", "immured us", "requests a write"),
                [("exchange", "", *(cell(median(rounds, name), "{:.2f}") for name in
                                    ("total_us", "client_us", "immured_us", "requests_per_write")))])
    return rounds


def measure_signatures(setting, given):
    seconds = 0.5 if given.quick else 1.5
    found = signatures.measure(setting, given.rounds, seconds)
    print(f"## Signatures: through the socket, verification included; {signatures.WINDOW} at a time, "
          "per second of immured's CPU time; one at a time, the round trip in us\n\n"
          "Medians of the rounds, but of one at a time the quickest round's P5.\n")
    print_table(("key", "", *signatures.BACKENDS, "ratio",
                 *(f"one by {backend}" for backend in signatures.BACKENDS)),
                list(signatures.rows(found)))
    return found


def measure_neighbours(setting, given):
    seconds = 1.0 if given.quick else 6.0
    found = neighbours.measure(setting, seconds)
    print(f"## Neighbours: the time of a lone signature, alone and beside a client that keeps "
          f"{neighbours.WINDOW} under way; one signer thread; {neighbours.TURNS} turns of {seconds:g} s each\n")
    print_table(("lone key", "", "count", "P50 ms", "P99 ms", "P99.9 ms", "flood/s"),
                list(neighbours.rows(found)))
    return found


def measure_memory(setting, given):
    found = fast_handshake.in_memory(setting, 1.0 if given.quick else 5.0)
    print("## Memory: server's CPU us of a handshake in memory, the signature left out, by how many "
          f"wait at a time\n\n{found['told']}\n")
    print_table(("waiting", "", *fast_handshake.VARIANTS, "auto over off"),
                list(fast_handshake.in_memory_rows(found)))
    return found


def measure_proxies(setting, given):
    keys = [key for key in fast_handshake.KEYS if key in given.key]
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    found = fast_handshake.proxies(setting, keys, given.rounds, seconds)
    print(f"## Proxies: CPU us of all processes for a full handshake with a small GET, closed loop of "
          f"{fast_handshake.CONNECTIONS}, TLS 1.3\n")
    print_table(("key", "server", "CPU us", "over off"), list(fast_handshake.proxies_rows(found)))
    return found


def measure_calls(setting, given):
    found = fast_handshake.calls(setting, 1.0 if given.quick else 3.0)
    if found:
        print("## System calls of a full handshake with a small GET and a close\n")
        print_table(("call", "", *found), list(system_calls.rows(found)))
    return found


def measure_adapters(setting, given):
    """{adapter: [figures]} of those whose library is here"""
    seconds = 1.0 if given.quick else 3.0
    here = [name for name in sections.ADAPTERS
            if os.path.exists(os.path.join(setting.tools, f"bench-adapter-{name}"))]
    rounds = {name: [] for name in here}
    for _ in range(given.rounds):
        for name in here:
            rounds[name].append(sections.adapter(setting, name, seconds))
    print(f"## Adapters: CPU of a signature without the signature, {sections.ADAPTER_WINDOW} under way\n")
    print_table(("adapter", "", "client us", "immured us", "requests a write"),
                [(name, "", *(cell(median(rounds[name], figure), "{:.2f}") for figure in
                              ("client_us", "immured_us", "requests_per_write")))
                 if name in rounds else (name, "not built", "", "", "") for name in sections.ADAPTERS])
    return rounds


def measure_generator(setting, given):
    if not (shutil.which("nginx") and shutil.which("wrk")):
        print("## Generator: SKIPPED: nginx or wrk is not installed\n")
        return []
    seconds = 2 if given.quick else 4
    rounds = [sections.generator(setting, seconds) for _ in range(given.rounds)]
    for each in rounds:
        each["ratio"] = each["storm"] / each["wrk"]
    print(f"## Generator: full handshakes with a GET at nginx, closed loop of {sections.CONNECTIONS}, "
          "per second\n")
    spread = [each["ratio"] for each in rounds]
    print_table(("", "", "immure-storm", "wrk", "ratio", "lowest", "highest"),
                [("p-256", "", *(cell(median(rounds, name), form) for name, form in
                                 (("storm", "{:.0f}"), ("wrk", "{:.0f}"), ("ratio", "{:.2f}"))),
                  cell(min(spread), "{:.2f}"), cell(max(spread), "{:.2f}"))])
    return rounds


def measure_idle(setting, given):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = 300 if given.quick else 2000
    rounds = [sections.idle(setting, count)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"## Idle: memory (PSS) of {count} established connections, for each\n")
    print_table(("", "", "worker KiB", "libssl alone KiB"),
                [("idle", "", *(cell(median(rounds, name), "{:.1f}", 1 / 1024)
                                for name in ("worker", "openssl")))])
    return rounds


def measure_dropin(setting, given):
    """{key: {way: [figures]}}"""
    if not shutil.which("nginx"):
        print("## Drop-in: SKIPPED: nginx is not installed\n")
        return {}
    seconds = given.seconds or (1.0 if given.quick else 4.0)
    found = {}
    for key in (key for key in dropin_nginx.KEYS if key in given.key and dropin_nginx.served(setting, key)):
        ways = dropin_nginx.ways(key)
        rounds = found[key] = {way: [] for way in ways}
        for number in range(given.rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                rounds[way].append(dropin_nginx.measure(setting, key, way, seconds))
    print(f"## Drop-in: nginx with {dropin_nginx.WORKERS} workers, closed loop of {sections.CONNECTIONS}, "
          "full, TLS 1.3, with a small GET; its key in a file, or in immured\n\n"
          "With `hold` immured waits for what the other workers will ask for: less CPU time, where batches "
          "are made.\n")
    print_table(("key", "", "CPU us", "nginx", "immured", "of file", "handshakes/s", "failed"),
                [(key, way if way == "file" else f"{way}, {dropin_nginx.KEYS[key][0]}",
                  *(cell(median(rounds[way], name)) for name in ("cpu", "cpu_server", "cpu_immured")),
                  cell(ratio(rounds, "cpu", "file")[way], "{:.2f}"), cell(median(rounds[way], "rate")),
                  sum(each["failed"] for each in rounds[way]))
                 for key, rounds in found.items() for way in rounds])
    return found


def goals(found):
    """(what, goal, measured text, met) of each goal whose section ran; met None: cannot be said."""
    for (key, tls), rounds in found.get("handshakes", {}).items():
        value = ratio(rounds, "cpu")["async"]
        yield (f"CPU of a handshake, {key}, TLS {tls}: async over in-process", f"<= {KEYS[key]:.2f}",
               cell(value, "{:.2f}"), None if value is None else value <= KEYS[key])
    if "turns" in found:
        value = ratio(found["turns"], "turn_p999")["async"]
        yield ("P99.9 turn under an RSA-4096 storm: async over in-process", "<= 0.10",
               cell(value, "{:.3f}"), None if value is None else value <= 0.10)
    if "exchange" in found:
        value = median(found["exchange"], "total_us")
        yield ("libimmure, wire and socket: CPU us a signature", "<= 10", cell(value, "{:.2f}"),
               value <= 10)
    for name, rounds in found.get("adapters", {}).items():
        value = median(rounds, "client_us")
        yield (f"adapter for {name}, libimmure and socket: client's CPU us a signature", "<= 10",
               cell(value, "{:.2f}"), value <= 10)
    if "signatures" in found:
        yield from signatures.goals(found["signatures"])
    if "neighbours" in found:
        yield from neighbours.goals(found["neighbours"])
    for key, rounds in found.get("dropin", {}).items():
        backend, most = dropin_nginx.KEYS[key]
        for way, value in ratio(rounds, "cpu", "file").items():
            if way != "file":
                yield (f"CPU of a handshake at nginx, {key}: {way}, {backend}, over key file", f"<= {most:.2f}",
                       cell(value, "{:.2f}"), None if value is None else value <= most)
    if "memory" in found:
        yield from fast_handshake.in_memory_goals(found["memory"])
    if "proxies" in found:
        yield from fast_handshake.proxies_goals(found["proxies"])
    if "calls" in found:
        yield from fast_handshake.calls_goals(found["calls"])
    if "idle" in found:
        value = (median(found["idle"], "worker") - median(found["idle"], "openssl")) / 1024
        yield ("idle connection over OpenSSL's own, KiB", "<= 40", cell(value, "{:.1f}"),
               value <= 40)


def print_goals(found):
    print("## Goals\n")
    print_table(("goal", "", "bound", "measured", ""),
                [(what, "", goal, measured,
                  {True: "pass", False: "MISS", None: "too few samples"}[met])
                 for what, goal, measured, met in goals(found)])


def print_warnings(found):
    """What immure-storm said about itself, once each with how often."""
    told = {}
    groups = [*found.get("handshakes", {}).values(), found.get("turns", {}),
              *found.get("dropin", {}).values()]
    for each in (each for group in groups for rounds in group.values() for each in rounds):
        for warning in each["warnings"]:
            what = warning.split(":")[0]
            told[what] = told.get(what, 0) + 1
    for what, count in told.items():
        print(f"note: immure-storm, in {count} run(s): {what}")


def print_machine():
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    print(f"# script/bench {' '.join(sys.argv[1:])}\n")
    print(f"{time.strftime('%Y-%m-%d')}, Linux {platform.release()}, {platform.machine()}, "
          f"{os.cpu_count()} cores, {version.stdout.strip()}; server on core "
          f"{sorted(SERVER_CORES)}, clients on {sorted(CLIENT_CORES)}\n", flush=True)


def plain(found):
    """JSON has no tuples as keys."""
    return {**found, "handshakes": {f"{key}, {tls}": rounds for (key, tls), rounds in
                                    found.get("handshakes", {}).items()}}


def main():
    given = arguments()
    measures = {"handshakes": measure_handshakes, "turns": measure_turns,
                "exchange": measure_exchange, "adapters": measure_adapters,
                "signatures": measure_signatures, "neighbours": measure_neighbours,
                "memory": measure_memory, "proxies": measure_proxies, "calls": measure_calls,
                "idle": measure_idle, "generator": measure_generator, "dropin": measure_dropin}
    print_machine()
    found = {}
    with tempfile.TemporaryDirectory(prefix="immure-bench-") as directory:
        os.chmod(directory, 0o755)
        for name in (name for name in SECTIONS if name in given.only):
            found[name] = measures[name](Setting(directory), given)
    print_goals(found)
    print_warnings(found)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(plain(found), file, indent=1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures the cost of a handshake with the key in another process, and its effect on other
connections: immure-proxy in its three signing modes, in alternating rounds, on loopback."""

import argparse
import collections
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

from sections import (adapters, bulk, calls, certificates, dropin, exchange, generator, handshakes, hostile, idle,
                      memory, neighbours, proxies, signatures, turns)
from setting import CLIENT_CORES, SERVER_CORES, Setting
from tables import print_table

# A section has two functions: measure() prints its table and returns all rounds, goals() judges
# them.
SECTIONS = {"handshakes": handshakes, "turns": turns, "exchange": exchange, "adapters": adapters,
            "signatures": signatures, "neighbours": neighbours, "memory": memory, "proxies": proxies,
            "calls": calls, "idle": idle, "generator": generator, "dropin": dropin, "bulk": bulk, "hostile": hostile,
            "certificates": certificates}


def arguments():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one short round")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="this section (repeatable)")
    parser.add_argument("--key", action="append", choices=handshakes.KEYS, help="this key (repeatable)")
    parser.add_argument("--tls", action="append", choices=("1.2", "1.3"), help="this version")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="of each storm; default 3 (turns: 8)")
    parser.add_argument("--certificates", type=int, help="of the section of that name; default 100000, quick: 2000")
    parser.add_argument("--hellos", type=int, help="with random names, in the same; default 1000000, quick: 5000")
    parser.add_argument("--json", metavar="FILE", help="all rounds, to look at later")
    given = parser.parse_args()
    if any(each is not None and each < 1 for each in (given.rounds, given.certificates, given.hellos)) or \
            (given.seconds is not None and not 0.5 <= given.seconds <= 3600):
        parser.error("--rounds, --certificates and --hellos are at least 1, --seconds 0.5 to 3600")
    given.only = given.only or SECTIONS
    given.certificates = given.certificates or (2000 if given.quick else 100_000)
    given.hellos = given.hellos or (5000 if given.quick else 1_000_000)
    given.key = given.key or (("p-256",) if given.quick else tuple(handshakes.KEYS))
    given.tls = given.tls or (("1.3",) if given.quick else ("1.3", "1.2"))
    given.rounds = given.rounds or (1 if given.quick else 3)
    return given


def print_machine():
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    print(f"# script/bench {' '.join(sys.argv[1:])}\n")
    print(f"{time.strftime('%Y-%m-%d')}, Linux {platform.release()}, {platform.machine()}, "
          f"{os.cpu_count()} cores, {version.stdout.strip()}; server on core "
          f"{sorted(SERVER_CORES)}, clients on {sorted(CLIENT_CORES)}\n", flush=True)


def print_goals(found):
    print("## Goals\n")
    print_table(("goal", "", "bound", "measured", ""),
                [(what, "", goal, measured,
                  {True: "pass", False: "MISS", None: "too few samples"}[met])
                 for name in found for what, goal, measured, met in SECTIONS[name].goals(found[name])])


def warnings(found):
    """immure-storm's warnings about itself, from all rounds."""
    if isinstance(found, dict):
        for warning in found.get("warnings", ()):
            yield warning.split(":")[0]
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from warnings(each)


def print_warnings(found):
    for what, count in collections.Counter(warnings(found)).items():
        print(f"note: immure-storm, in {count} run(s): {what}")


def main():
    given = arguments()
    print_machine()
    found = {}
    with tempfile.TemporaryDirectory(prefix="immure-bench-") as directory:
        os.chmod(directory, 0o755)
        for name in (name for name in SECTIONS if name in given.only):
            found[name] = SECTIONS[name].measure(Setting(directory), given)
    print_goals(found)
    print_warnings(found)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()

"""What fast-handshake saves in the server's part of a handshake, measured without sockets."""

import json
import subprocess

from setting import SERVER_CORES, on
from tables import at_most, print_table

WAITING = (1, 2, 4, 8, 16, 64)
MANY = 16  # at least this many waiting
MOST_MANY, MOST_ONE = "0.55", "0.85"
VARIANTS = ("off", "key_schedule", "key_pairs", "auto")


def measure(setting, given):
    """{"told": the parts in force, "rows": [{"waiting": 1, "off": us, ...}]}"""
    seconds = 1.0 if given.quick else 5.0
    with on(SERVER_CORES):
        done = subprocess.run([setting.tool("bench-in-memory"), str(seconds), *map(str, WAITING)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"bench: bench-in-memory: {done.stderr.strip()}")
    found = {"told": done.stderr.strip(), "rows": [json.loads(line) for line in done.stdout.splitlines()]}
    print("## Memory: server's CPU us of a handshake in memory, the signature left out, by how many "
          f"wait at a time\n\n{found['told']}\n")
    print_table(("waiting", "", *VARIANTS, "auto over off"),
                [(row["waiting"], "", *(f"{row[name]:.0f}" for name in VARIANTS),
                  f"{row['auto'] / row['off']:.2f}") for row in found["rows"]])
    return found


def goals(found):
    by_waiting = {row["waiting"]: row["auto"] / row["off"] for row in found["rows"]}
    many = max(value for waiting, value in by_waiting.items() if waiting >= MANY)
    yield at_most(f"handshake in memory, {MANY} and more waiting: auto over off", many, MOST_MANY)
    yield at_most("handshake in memory, one at a time: auto over off", by_waiting[1], MOST_ONE)

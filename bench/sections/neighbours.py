"""What one client of immured suffers from another that asks for as much as it can."""

import json
import subprocess

import window
from tables import print_table

import harness
from certificates import certificate

WINDOW = 1024  # requests that the flood keeps under way
TURNS = 3

# lone key, flood's key, the quantile that is judged, and at most: from its value without the flood, us
PAIRS = (
    ("p-256", "rsa-4096", "p999_us", "2 ms + 3 x", lambda alone: 2000 + 3 * alone),
    ("rsa-2048", "rsa-2048", "p99_us", "3 x", lambda alone: 3 * alone),
    ("p-256", "p-256", "p99_us", "3 x", lambda alone: 3 * alone),
)


def measure(setting, given):
    """{"LONE beside FLOOD": figures}"""
    seconds = 1.0 if given.quick else 6.0
    found = {}
    for lone, flood, *_ in PAIRS:
        done = subprocess.run(
            [setting.tool("bench-neighbours"), harness.program_path("immured"),
             certificate(lone).key, window.SCHEMES[lone],
             certificate(flood, serial=2).key, window.SCHEMES[flood],
             str(WINDOW), str(seconds), str(TURNS)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=2 * TURNS * (seconds + 10))
        if done.returncode != 0:
            raise SystemExit(f"bench: bench-neighbours: {done.stderr.strip()[-300:]}")
        found[f"{lone} beside {flood}"] = json.loads(done.stdout)
    print(f"## Neighbours: the time of a lone signature, alone and beside a client that keeps "
          f"{WINDOW} under way; one signer thread; {TURNS} turns of {seconds:g} s each\n")
    print_table(("lone key", "", "count", "P50 ms", "P99 ms", "P99.9 ms", "flood/s"), list(rows(found)))
    return found


def rows(found):
    for lone, flood, *_ in PAIRS:
        figures = found[f"{lone} beside {flood}"]
        for name in ("alone", "beside"):
            times = figures[name]
            yield (lone, f"{name} {flood}" if name == "beside" else name, str(times["count"]),
                   *("" if times[each] is None else f"{times[each] / 1000:.3f}"
                     for each in ("p50_us", "p99_us", "p999_us")),
                   f"{figures['flood_per_s']:.0f}" if name == "beside" else "")


def goals(found):
    for lone, flood, quantile, text, limit in PAIRS:
        figures = found[f"{lone} beside {flood}"]
        alone, beside = (figures[name][quantile] for name in ("alone", "beside"))
        known = alone is not None and beside is not None
        name = "P" + quantile.removesuffix("_us")[1:3] + (".9" if quantile == "p999_us" else "")
        yield (f"a {lone} signature beside a flood of {flood}, {name}, ms",
               f"<= {text} {alone / 1000:.3f}" if known else f"<= {text}",
               f"{beside / 1000:.3f}" if known else "",
               beside <= limit(alone) if known else None)

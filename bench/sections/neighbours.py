"""How much a client of immured can be slowed down by another that sends as many requests as it
can."""

import collections
import json
import os
import subprocess

import window
from tables import print_table

import harness
from certificates import certificate

TURNS = 3

Pair = collections.namedtuple("Pair", "lone key flood connections window quantile text limit")

# The single request ("ping" or a kind of key); the flood's kind of key, its name
# (bench/neighbours.c), its connections and its window; the quantile that is judged, and its bound
# in us, as a function of its value without the flood
PAIRS = (
    Pair("p-256", "rsa-4096", "sign", 1, 1024, "p999_us", "2 ms + 3 x", lambda alone: 2000 + 3 * alone),
    Pair("rsa-2048", "rsa-2048", "sign", 1, 1024, "p99_us", "3 x", lambda alone: 3 * alone),
    Pair("p-256", "p-256", "sign", 1, 1024, "p99_us", "3 x", lambda alone: 3 * alone),
    *(Pair(lone, flood, "sign-other", 24, 4096, "p99_us", "5 ms + 3 x", lambda alone: 5000 + 3 * alone)
      for lone in ("p-256", "rsa-2048") for flood in ("p-256", "rsa-2048")),
    *(Pair("ping", key, flood, connections, count, "p99_us", "1 ms; alone it is", lambda alone: 1000)
      for key, flood, connections, count in (
          ("p-384", "sign-other", 1, 200), ("p-521", "sign-other", 1, 200), ("p-256", "cancel", 4, 2900),
          ("p-256", "connect", 1, 500))),
)


def describe(pair):
    if pair.flood == "connect":
        return f"{pair.window} connections/s of a stranger"
    return (f"{pair.connections} x {pair.window} {pair.key}" if pair.connections > 1
            else f"{pair.window} {pair.key}") + {
                "sign": "", "sign-other": " of another uid", "cancel": " and CANCELs of another uid"}[pair.flood]


def measure(setting, given):
    """{"LONE beside FLOOD": figures}; skips what needs root, if we are not root."""
    seconds = 1.0 if given.quick else 6.0
    found = {}
    for pair in PAIRS:
        if pair.flood != "sign" and os.geteuid() != 0:
            continue
        lone = "p-256" if pair.lone == "ping" else pair.lone
        done = subprocess.run(
            [setting.tool("bench-neighbours"), harness.program_path("immured"),
             certificate(lone).key, "0" if pair.lone == "ping" else window.SCHEMES[lone],
             certificate(pair.key, serial=2).key, window.SCHEMES[pair.key], str(seconds), str(TURNS),
             pair.flood, str(pair.connections), str(pair.window)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=2 * TURNS * (seconds + 10))
        if done.returncode != 0:
            raise SystemExit(f"bench: bench-neighbours: {done.stderr.strip()[-300:]}")
        found[f"{pair.lone} beside {describe(pair)}"] = json.loads(done.stdout)
    print(f"## Neighbours: the time of a lone request, alone and beside a flood; one signer thread; "
          f"{TURNS} turns of {seconds:g} s each\n")
    print_table(("lone request", "", "count", "P50 ms", "P99 ms", "P99.9 ms", "BUSY", "flood/s"),
                list(rows(found)))
    return found


def rows(found):
    for pair in PAIRS:
        figures = found.get(f"{pair.lone} beside {describe(pair)}")
        for name in ("alone", "beside") if figures else ():
            times = figures[name]
            beside = name == "beside"
            yield (pair.lone, f"beside {describe(pair)}" if beside else name, str(times["count"]),
                   *("" if times[each] is None else f"{times[each] / 1000:.3f}"
                     for each in ("p50_us", "p99_us", "p999_us")),
                   str(figures["busy"]) if beside else "", f"{figures['flood_per_s']:.0f}" if beside else "")


def goals(found):
    for pair in PAIRS:
        figures = found.get(f"{pair.lone} beside {describe(pair)}")
        alone, beside = ((figures[name][pair.quantile] for name in ("alone", "beside")) if figures
                         else (None, None))
        known = alone is not None and beside is not None
        name = "P" + pair.quantile.removesuffix("_us")[1:3] + (".9" if pair.quantile == "p999_us" else "")
        yield (f"{pair.lone} beside {describe(pair)}, {name}, ms",
               f"<= {pair.text} {alone / 1000:.3f}" if known else f"<= {pair.text}",
               f"{beside / 1000:.3f}" if known else "",
               beside <= pair.limit(alone) if known else None)
    busy = [figures["busy"] for figures in found.values()]
    yield ("lone requests that were refused", "0", str(sum(busy)) if busy else "", sum(busy) == 0 if busy else None)

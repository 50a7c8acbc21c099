"""Full handshakes per second with a GET each at nginx, with two load generators: immure-storm and
wrk."""

import math
import shutil
import subprocess

import nginx
from setting import CLIENT_CORES, CONNECTIONS, on
from tables import cell, median, print_table


def count(setting, seconds):
    with nginx.start(setting.directory) as (port, _):
        summary = setting.storm(f"127.0.0.1:{port}", "--concurrency", CONNECTIONS, "--request", "/",
                                "--warmup", 0.5, "--duration", seconds)
        with on(CLIENT_CORES):
            done = subprocess.run(
                ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{math.ceil(seconds)}s",
                 "-H", "Connection: close", f"https://127.0.0.1:{port}/"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=True)
    rate = next(line.split()[1] for line in done.stdout.splitlines()
                if line.startswith("Requests/sec"))
    return {"storm": summary["full"] / summary["seconds"], "wrk": float(rate)}


def measure(setting, given):
    """[figures]"""
    if not (shutil.which("nginx") and shutil.which("wrk")):
        print("## Generator: SKIPPED: nginx or wrk is not installed\n")
        return []
    seconds = 2 if given.quick else 4
    rounds = [count(setting, seconds) for _ in range(given.rounds)]
    for each in rounds:
        each["ratio"] = each["storm"] / each["wrk"]
    print(f"## Generator: full handshakes with a GET at nginx, closed loop of {CONNECTIONS}, "
          "per second\n")
    spread = [each["ratio"] for each in rounds]
    print_table(("", "", "immure-storm", "wrk", "ratio", "lowest", "highest"),
                [("p-256", "", *(cell(median(rounds, name), form) for name, form in
                                 (("storm", "{:.0f}"), ("wrk", "{:.0f}"), ("ratio", "{:.2f}"))),
                  cell(min(spread), "{:.2f}"), cell(max(spread), "{:.2f}"))])
    return rounds


def goals(_):
    return ()

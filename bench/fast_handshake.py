"""What fast-handshake saves: in memory, in the whole proxy under a storm, and beside other TLS proxies
before the same backend; and their system calls."""

import json
import shutil
import statistics
import subprocess

import system_calls
from setting import SERVER_CORES, on

WAITING = (1, 2, 4, 8, 16, 64)
MANY = 16  # so many waiting, or more
MOST_MANY, MOST_ONE = 0.55, 0.85
VARIANTS = ("off", "key_schedule", "key_pairs", "auto")
KEYS = ("p-256", "rsa-2048", "rsa-4096")
OWN = ("auto", "off")  # values of fast-handshake
CONNECTIONS = 64


# ---- in memory ----

def in_memory(setting, seconds):
    """[{"waiting": 1, "off": us, ...}]"""
    with on(SERVER_CORES):
        done = subprocess.run([setting.tool("bench-in-memory"), str(seconds), *map(str, WAITING)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"bench: bench-in-memory: {done.stderr.strip()}")
    return {"told": done.stderr.strip(), "rows": [json.loads(line)
                                                  for line in done.stdout.splitlines()]}


def in_memory_rows(found):
    for row in found["rows"]:
        yield (row["waiting"], "", *(f"{row[name]:.0f}" for name in VARIANTS),
               f"{row['auto'] / row['off']:.2f}")


def in_memory_goals(found):
    by_waiting = {row["waiting"]: row["auto"] / row["off"] for row in found["rows"]}
    many = max(value for waiting, value in by_waiting.items() if waiting >= MANY)
    yield (f"handshake in memory, {MANY} and more waiting: auto over off", f"<= {MOST_MANY:.2f}",
           f"{many:.2f}", many <= MOST_MANY)
    yield ("handshake in memory, one at a time: auto over off", f"<= {MOST_ONE:.2f}",
           f"{by_waiting[1]:.2f}", by_waiting[1] <= MOST_ONE)


# ---- the whole proxy, and others ----

def storm(setting, server, seconds):
    """Microseconds of CPU time of all the server's processes for each handshake, or None."""
    summary = setting.storm(f"127.0.0.1:{server.port}", "--concurrency", CONNECTIONS, "--request",
                            "/", "--tls", "1.3", "--warmup", 0.5, "--duration", seconds,
                            "--cost", server.pid)
    cost = summary["cost"]
    return cost and cost["cpu_seconds"] * 1e6 / cost["handshakes"]


def proxies(setting, keys, rounds, seconds):
    """{key: {server: [us]}}, the servers in turn, each round beginning with another one."""
    names = (*OWN, *system_calls.peers())
    found = {key: {name: [] for name in names} for key in keys}
    with setting.responder() as backend:
        for number in range(rounds):
            first = number % len(names)
            for key in keys:
                for name in names[first:] + names[:first]:
                    with start(setting, name, key, backend.port) as server:
                        found[key][name].append(storm(setting, server, seconds))
    return found


def start(setting, name, key, backend_port):
    if name in OWN:
        return setting.proxy(key, "async", backend_port, top=f"fast-handshake = {name}")
    return system_calls.peer(setting, name, key, backend_port)


def medians(servers):
    """{server: us or None}"""
    return {name: statistics.median(values) if None not in values else None
            for name, values in servers.items()}


def over(value, base):
    return None if value is None or base is None else value / base


def proxies_rows(found):
    for key, servers in found.items():
        for name, value in medians(servers).items():
            label = f"immure-proxy, {name}" if name in OWN else name
            ratio = over(value, medians(servers)["off"])
            yield (key, label, *("" if each is None else form.format(each)
                                 for form, each in (("{:.0f}", value), ("{:.2f}", ratio))))


def proxies_goals(found):
    for key, servers in found.items():
        middle = medians(servers)
        others = [value for name, value in middle.items() if name not in OWN and value is not None]
        goals = [("its own with fast-handshake = off", middle["off"], 0.75)] if key == "p-256" else []
        goals += [("the better of the others", min(others), 0.70)] if others else []
        for what, base, most in goals:
            value = over(middle["auto"], base)
            yield (f"CPU of a whole handshake, {key}: auto over {what}", f"<= {most:.2f}",
                   "" if value is None else f"{value:.2f}", None if value is None else value <= most)


# ---- system calls ----

def calls(setting, seconds):
    if shutil.which("strace") is None:
        print("## System calls: SKIPPED: strace is not installed\n")
        return None
    return system_calls.measure(setting, seconds)


def calls_goals(found):
    if found and "nginx" in found:
        own, other = (system_calls.total(found[name]) for name in ("immure-proxy", "nginx"))
        yield ("system calls of a handshake with request and close, at most nginx's",
               f"<= {other:.1f}", f"{own:.1f}", own <= other)

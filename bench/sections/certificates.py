"""Many certificates from a folder: the start from cold files and from an index, memory, the first handshake for a name,
a reload, a flood of names, and the CPU time of a handshake with many names; HAProxy and nginx beside it."""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import many_names
from many_names import name_of
from setting import CONNECTIONS, CORES, on
from tables import at_most, cell, median, print_table

import harness

SAMPLE = 300  # names
CHANGED = 10
GOOD_RATE = 100  # handshakes a second of clients beside the flood
LINES = 200_000  # of a file of names: more than one storm uses
ZIPF = 1.0  # the exponent
WAYS = ("one", "uniform", "zipf")


# ---- the start, memory, and single handshakes ----

def first_and_second(server):
    """Medians of seconds: of the first handshake for a name, and of the next for the same."""
    numbers = random.sample(range(server.folder.count - 1), min(SAMPLE, server.folder.count - 1))
    first, second = zip(*((server.handshake(number), server.handshake(number)) for number in numbers))
    return statistics.median(first), statistics.median(second)


def settle(server):
    """Waits until the server and its children are idle."""
    used = -1.0
    while used != (used := many_names.cpu_of(server.pid)):
        time.sleep(1)


def reload(server):
    """Renews some certificates. Returns CPU seconds until they are served and everything is at rest, and the ratio of
    memory after and before."""
    settle(server)
    memory, cpu = many_names.memory_of(server.pid), many_names.cpu_of(server.pid)
    before = server.folder.context
    server.folder.make(min(CHANGED, server.folder.count))
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: served(server, 0), "the new certificates")
    server.folder.context = before
    settle(server)
    return many_names.cpu_of(server.pid) - cpu, many_names.memory_of(server.pid) / memory


def served(server, number):
    try:
        return server.handshake(number) > 0
    except OSError:
        return False


def start(setting, folder, backend, top="", path=None):
    return many_names.start(setting, "immure-proxy", many_names.immure_proxy, folder, backend.port, path or folder.path,
                            top)


def measure_starts(setting, folder, backend):
    """Figures of one round."""
    index = os.path.join(setting.directory, "index")
    top = f'certificate-index = "{index}"'
    single = many_names.Part(folder, 1)
    with start(setting, single, backend, path=single.path) as server:
        settle(server)
        base = many_names.memory_of(server.pid)
    cold = folder.forget_pages()
    if not cold:
        print("note: only root can drop the page cache, so the files are not cold", file=sys.stderr)
    with start(setting, folder, backend, top) as server:
        found = {"cold": server.took, "cold_cpu": server.cpu}
        settle(server)
        found["memory"] = (many_names.memory_of(server.pid) - base) / folder.count
        found["first"], found["second"] = first_and_second(server)
    with start(setting, folder, backend, top) as server:
        found["index"], found["index_cpu"] = server.took, server.cpu
        found["reload"], found["reload_memory"] = reload(server)
    return found


def measure_peer(setting, folder, backend, name):
    part = many_names.Part(folder, many_names.PEERS_MOST)
    single = many_names.Part(folder, 1)
    with many_names.start(setting, name, many_names.PEERS[name], single, backend.port, single.path) as server:
        base = many_names.memory_of(server.pid)
    folder.forget_pages()
    with many_names.start(setting, name, many_names.PEERS[name], part, backend.port, part.path) as server:
        found = {"cold": server.took, "cold_cpu": server.cpu,
                 "memory": (many_names.memory_of(server.pid) - base) / part.count}
        found["first"], found["second"] = first_and_second(server)
    return found


# ---- storms of names ----

def write_names(setting, way, count):
    """A file of names for immure-storm's --names."""
    if way == "one":
        names = [name_of(0)]
    elif way == "uniform":
        names = map(name_of, random.choices(range(count), k=LINES))
    elif way == "zipf":
        names = map(name_of, random.choices(range(count), [1 / (rank + 1) ** ZIPF for rank in range(count)], k=LINES))
    else:  # known and unknown
        names = (random.choice((name_of(random.randrange(count)), f"u{random.getrandbits(64):x}.example"))
                 for _ in range(LINES))
    return many_names.write(setting.directory, f"names-{way}", "".join(f"{name}\n" for name in names))


def storm_of(setting, server, way, seconds):
    summary = setting.storm(f"127.0.0.1:{server.port}", "--concurrency", CONNECTIONS, "--names",
                            write_names(setting, way, server.folder.count), "--warmup", 0.5, "--duration", seconds,
                            "--cost", server.pid, saturate=True)
    cost = summary["cost"]
    return cost and cost["cpu_seconds"] * 1e6 / cost["handshakes"]


def begin_flood(setting, server, way, seconds):
    """Handshakes without a pause; the client resets each connection."""
    with on(set(CORES)):
        return subprocess.Popen([harness.program_path("immure-storm"), f"127.0.0.1:{server.port}", "--unchecked",
                                 "--concurrency", str(CONNECTIONS), "--close", "reset", "--warmup", "0", "--duration",
                                 str(seconds), "--names", write_names(setting, way, server.folder.count), "--json",
                                 os.path.join(setting.directory, "flood.json")],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def beside_flood(setting, server, way, seconds):
    """Returns how many handshakes the flood began, and the P99 of good clients beside it."""
    with begin_flood(setting, server, way, seconds + 2) as flood:
        good = setting.storm(f"127.0.0.1:{server.port}", "--rate", GOOD_RATE, "--warmup", 0.5, "--duration", seconds,
                             "--server-name", name_of(0))
        if flood.wait() != 0:
            raise SystemExit("bench: the flood of names failed")
    with open(os.path.join(setting.directory, "flood.json"), encoding="utf-8") as file:
        began = many_names.last_summary(file)["started"]
    return began, good["handshake_seconds"]["P99"]


def measure_flood(setting, server, hellos, seconds):
    """Memory after the first part of the flood and at its end, and P99 beside it and beside one of one name."""
    settle(server)
    _, beside_one = beside_flood(setting, server, "one", seconds)
    began, times, memory = 0, [], []
    while began < hellos or len(memory) < 2:
        count, beside = beside_flood(setting, server, "random", seconds)
        began += count
        times.append(beside)
        memory.append(many_names.memory_of(server.pid))
    return {"hellos": began, "beside_one": beside_one,
            "beside": statistics.median(times) if None not in times else None, "memory_first": memory[0],
            "memory_last": memory[-1]}


# ---- the section ----

def measure(setting, given):
    """{"server": [figures], "peers": {name: [figures]}, "storms": {way: [{"cpu": us}]}, "flood": [figures]}"""
    folder = many_names.Folder(setting, given.certificates)
    seconds = given.seconds or (2.0 if given.quick else 20.0)
    with setting.responder() as backend:
        # The others come first, because our reload renews certificates.
        found = {"peers": {name: [measure_peer(setting, folder, backend, name)]
                           for name in many_names.PEERS if shutil.which(name)},
                 "server": [measure_starts(setting, folder, backend)],
                 "storms": {way: [] for way in WAYS}}
        with start(setting, folder, backend) as server:
            for number in range(given.rounds):
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    found["storms"][way].append({"cpu": storm_of(setting, server, way, min(seconds, 5.0))})
            found["flood"] = [measure_flood(setting, server, given.hellos, seconds)]
    print_all(found, given)
    return found


def print_all(found, given):
    most = min(given.certificates, many_names.PEERS_MOST)
    print(f"## Certificates: {given.certificates} P-256 certificates from a folder, {many_names.WORKERS} workers; "
          f"HAProxy and nginx with {most}. CPU time and memory (PSS) of all processes\n")
    print_table(("server", "certificates", "cold s", "CPU s", "with index s", "CPU s", "KiB each", "first ms",
                 "second ms"),
                [start_row(name, count, rounds) for name, count, rounds in
                 (("immure-proxy", given.certificates, found["server"]),
                  *((name, most, rounds) for name, rounds in found["peers"].items()))])
    print_table(("storm of names", "", "CPU us a handshake"),
                [(way, "", cell(median(rounds, "cpu"))) for way, rounds in found["storms"].items()])
    flood = found["flood"]
    print_table(("flood of random names", "ClientHellos", "MiB after a part", "MiB at the end", "P99 beside one name ms",
                 "P99 beside ms"),
                [("", cell(median(flood, "hellos")), cell(median(flood, "memory_first"), "{:.1f}", 2**-20),
                  cell(median(flood, "memory_last"), "{:.1f}", 2**-20),
                  cell(median(flood, "beside_one"), "{:.2f}", 1e3),
                  cell(median(flood, "beside"), "{:.2f}", 1e3))])


def start_row(name, count, rounds):
    def each(figure, form, scale=1):
        return cell(median(rounds, figure) if figure in rounds[0] else None, form, scale)
    return (name, str(count), each("cold", "{:.2f}"), each("cold_cpu", "{:.2f}"), each("index", "{:.2f}"),
            each("index_cpu", "{:.2f}"), each("memory", "{:.2f}", 1 / 1024), each("first", "{:.2f}", 1e3),
            each("second", "{:.2f}", 1e3))


def goals(found):
    server, flood = found["server"], found["flood"]
    yield at_most("serves from cold files, s", median(server, "cold"), "10")
    yield at_most("serves with an index, s", median(server, "index"), "2")
    yield at_most("memory of a certificate, KiB", median(server, "memory") / 1024, "4")
    yield at_most("first handshake for a name over the second, ms",
                  (median(server, "first") - median(server, "second")) * 1e3, "2")
    yield at_most(f"HUP with {CHANGED} changed, CPU s", median(server, "reload"), "1")
    yield at_most("memory after HUP over that before", median(server, "reload_memory"), "1.02", "{:.3f}")
    yield at_most("memory at the end of the flood over that after a part",
                  median(flood, "memory_last") / median(flood, "memory_first"), "1.02", "{:.3f}")
    yield at_most("P99 beside random names over that beside one", over(flood[0]["beside"], flood[0]["beside_one"]), "2")
    one = median(found["storms"]["one"], "cpu")
    for way in WAYS[1:]:
        yield at_most(f"CPU of a handshake, {way} names over one", over(median(found["storms"][way], "cpu"), one),
                      "1.05")


def over(value, base):
    return None if value is None or base is None else value / base

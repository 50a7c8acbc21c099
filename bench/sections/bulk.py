"""The cost of a gigabyte through the proxy, compared with HAProxy: in both directions, on one
connection and on many."""

import os
import subprocess

import peers
from setting import CLIENT_CORES, Child, on
from tables import at_most, cell, median, print_table, ratio

import proc

CONNECTIONS = (1, 64)
WAYS = ("down", "up")
OWN = "immure-proxy"
BOUND = "0.92"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """CPU seconds of the process and its children."""
    return proc.cpu(pid) + sum(cpu(child) for child in proc.children(pid))


def start(setting, name, backend_port):
    if name == OWN:
        return setting.proxy("p-256", "async", backend_port)
    return peers.start(setting, name, "p-256", backend_port)


def transfer(setting, name, way, connections, seconds):
    """{"cpu": CPU seconds per gigabyte}"""
    tool = setting.tool("bench-bulk")
    with Child(tool, cores=CLIENT_CORES) as backend, start(setting, name, backend.port) as server:
        before = cpu(server.pid)
        with on(CLIENT_CORES):
            done = subprocess.run([tool, str(server.port), way, str(connections), str(seconds)], check=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
        spent, moved = cpu(server.pid) - before, int(done.stdout)
    # With fewer than 50 ticks of CPU time the resolution of a tick is too coarse.
    return {"cpu": spent * 1e9 / moved if moved and spent * TICKS >= 50 else None}


def measure(setting, given):
    """{"WAY, CONNECTIONS": {server: [figures]}}"""
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    names = (OWN, *(name for name in peers.installed() if name == "haproxy"))
    found = {f"{way}, {count}": {name: [] for name in names} for way in WAYS for count in CONNECTIONS}
    for number in range(given.rounds):
        for what, servers in found.items():
            way, count = what.split(", ")
            for name in names if number % 2 == 0 else reversed(names):
                servers[name].append(transfer(setting, name, way, int(count), seconds))
    print("## Bulk: CPU s of all the server's processes for a GB, AES-128-GCM; \"down\" is from the backend to "
          "the client\n")
    print_table(("way, connections", "server", "CPU s a GB"),
                [(what, name, cell(median(rounds, "cpu"), "{:.3f}"))
                 for what, servers in found.items() for name, rounds in servers.items()])
    return found


def goals(found):
    for what, servers in found.items():
        if "haproxy" in servers:
            yield at_most(f"CPU of a GB, {what} connection(s): over HAProxy",
                          ratio(servers, "cpu", "haproxy")[OWN], BOUND)

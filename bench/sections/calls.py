"""Counts system calls per full handshake with a small GET and a close, in the process that
terminates TLS: immure-proxy's worker, and other TLS proxies with the same backend. Also counts the
TCP segments of client, server and backend together, provided that nothing else uses TCP in this
network namespace."""

import os
import re
import shutil
import signal
import subprocess
import time

import peers
from setting import SERVER_CORES, on
from tables import at_most, print_table

import proc

CONNECTIONS = 16
SEGMENTS = "TCP segments"  # a row of the table, next to the calls


def terminator(server):
    """The process that holds the connections: the last child, if there are children."""
    if hasattr(server, "worker"):
        return server.worker()
    return max(proc.children(server.pid), key=proc.started, default=server.pid)


def counted(text):
    """{call: times} of strace -c."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", text, re.MULTILINE)
    return {name: int(times) for times, name in rows if name != "total"}


def segments():
    """The number of segments sent in this network namespace."""
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return int(values[names.index("OutSegs")])


def count(setting, server, seconds, *options):
    """{call: times per handshake}, and SEGMENTS"""
    path = os.path.join(setting.directory, "strace.txt")
    with on(SERVER_CORES):
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", path, "-p", str(terminator(server))],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    before = segments()
    summary = setting.storm(f"127.0.0.1:{server.port}", "--concurrency", CONNECTIONS, "--request",
                            "/", "--tls", "1.3", "--warmup", 0, "--duration", seconds, *options)
    time.sleep(0.3)
    sent = segments() - before
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    with open(path, encoding="utf-8") as file:
        calls = {**counted(file.read()), SEGMENTS: sent}
    handshakes = summary["full"]
    return {name: times / handshakes for name, times in calls.items()}


def measure(setting, given):
    """{server: {call: times per handshake}}"""
    found = {}
    if shutil.which("strace") is None:
        print("## System calls: SKIPPED: strace is not installed\n")
        return found
    seconds = 1.0 if given.quick else 3.0
    with setting.responder() as backend:
        with setting.proxy("p-256", "async", backend.port) as proxy:
            found["immure-proxy"] = count(setting, proxy, seconds)
        for name in peers.installed():
            with peers.start(setting, name, "p-256", backend.port) as server:
                found[name] = count(setting, server, seconds)
    print("## System calls of a full handshake with a small GET and a close\n")
    print_table(("call", "", *found), list(rows(found)))
    return found


def total(calls):
    return sum(times for name, times in calls.items() if name != SEGMENTS)


def rows(found):
    """Table rows for the calls that any server makes at least once in a hundred handshakes."""
    names = sorted({name for calls in found.values() for name, times in calls.items()
                    if times >= 0.01}, key=lambda name: -max(calls.get(name, 0)
                                                             for calls in found.values()))
    yield ("all calls", "", *(f"{total(calls):.2f}" for calls in found.values()))
    for name in names:
        yield (name, "", *(f"{calls.get(name, 0):.2f}" for calls in found.values()))


def goals(found):
    if "nginx" in found:
        own, other = (total(found[name]) for name in ("immure-proxy", "nginx"))
        yield at_most("system calls of a handshake with request and close, at most nginx's", own,
                      f"{other:.1f}", "{:.1f}")

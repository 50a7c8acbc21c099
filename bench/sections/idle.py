"""Memory per idle established connection: in immure-proxy's worker, and with libssl alone."""

import contextlib
import resource
import time

from setting import CLIENT_CORES, SERVER_CORES, Child, on
from tables import at_most, cell, median, print_table

import clients
import proc
from certificates import certificate


def memory(pid):
    """The process's proportional share of memory (PSS), in bytes."""
    for line in proc.read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: no Pss in /proc/{pid}/smaps_rollup")


def growth(pid, port, count):
    """The bytes that each of `count` established idle connections adds."""
    tls = clients.context(clients.TLS13)
    with contextlib.ExitStack() as stack, on(CLIENT_CORES):
        for _ in range(50):  # allocates what is there once, not per connection
            stack.enter_context(clients.connect(port, tls))
        time.sleep(0.3)
        before = memory(pid)
        for _ in range(count):
            stack.enter_context(clients.connect(port, tls))
        time.sleep(0.5)
        return (memory(pid) - before) / count


def compare(setting, count):
    """Bytes per idle established connection."""
    chain = certificate("p-256")
    with setting.responder() as backend, setting.proxy("p-256", "async", backend.port) as proxy:
        worker = growth(proxy.worker(), proxy.port, count)
    with Child(setting.tool("bench-idle-openssl"), chain.chain, chain.key,
               cores=SERVER_CORES) as bare:
        return {"worker": worker, "openssl": growth(bare.pid, bare.port, count)}


def measure(setting, given):
    """[figures] of one round"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = 300 if given.quick else 2000
    rounds = [compare(setting, count)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"## Idle: memory (PSS) of {count} established connections, for each\n")
    print_table(("", "", "worker KiB", "libssl alone KiB"),
                [("idle", "", *(cell(median(rounds, name), "{:.1f}", 1 / 1024)
                                for name in ("worker", "openssl")))])
    return rounds


def goals(found):
    yield at_most("idle connection over OpenSSL's own, KiB",
                  (median(found, "worker") - median(found, "openssl")) / 1024, "40", "{:.1f}")

"""What fast-handshake saves in the whole proxy under a storm, compared with other TLS proxies with
the same backend."""

import statistics

import peers
from setting import CONNECTIONS, STORM_CORES
from tables import at_most, cell, print_table

KEYS = ("p-256", "rsa-2048", "rsa-4096")
OWN = ("auto", "off")  # values of fast-handshake
# The same for all servers, whatever their defaults: clients offer only this suite, and OpenSSL
# sends this many tickets for the other servers.
SUITE, TICKETS = "TLS_AES_128_GCM_SHA256", 2


def storm(setting, server, seconds):
    """CPU time per handshake of all the server's processes, in microseconds, or None."""
    summary = setting.storm(f"127.0.0.1:{server.port}", "--concurrency", CONNECTIONS, "--request",
                            "/", "--tls", "1.3", "--ciphersuites", SUITE, "--warmup", 0.5,
                            "--duration", seconds, "--cost", server.pid, saturate=True)
    cost = summary["cost"]
    return cost and cost["cpu_seconds"] * 1e6 / cost["handshakes"]


def measure(setting, given):
    """{key: {server: [us]}}; the servers take turns, and each round starts with a different one."""
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    names = (*OWN, *peers.installed())
    found = {key: {name: [] for name in names} for key in KEYS if key in given.key}
    with setting.responder() as backend:
        for number in range(given.rounds):
            first = number % len(names)
            for key in found:
                for name in names[first:] + names[:first]:
                    with start(setting, name, key, backend.port) as server:
                        found[key][name].append(storm(setting, server, seconds))
    print(f"## Proxies: CPU us of all processes for a full handshake with a small GET, closed loop of "
          f"{CONNECTIONS} from cores {sorted(STORM_CORES)}, TLS 1.3, {SUITE}, {TICKETS} tickets\n")
    print_table(("key", "server", "CPU us", "over off"), list(rows(found)))
    return found


def start(setting, name, key, backend_port):
    if name in OWN:
        return setting.proxy(key, "async", backend_port, top=f"fast-handshake = {name}",
                             frontend=f"tickets = {TICKETS}")
    return peers.start(setting, name, key, backend_port)


def medians(servers):
    """{server: us or None}"""
    return {name: statistics.median(values) if None not in values else None
            for name, values in servers.items()}


def over(value, base):
    return None if value is None or base is None else value / base


def rows(found):
    for key, servers in found.items():
        for name, value in medians(servers).items():
            label = f"immure-proxy, {name}" if name in OWN else name
            ratio = over(value, medians(servers)["off"])
            yield key, label, cell(value), cell(ratio, "{:.2f}")


def goals(found):
    for key, servers in found.items():
        middle = medians(servers)
        others = [value for name, value in middle.items() if name not in OWN and value is not None]
        bounds = [("its own with fast-handshake = off", middle["off"], "0.75")] if key == "p-256" else []
        bounds += [("the better of the others", min(others), "0.70")] if others else []
        for what, base, most in bounds:
            yield at_most(f"CPU of a whole handshake, {key}: auto over {what}", over(middle["auto"], base),
                          most)

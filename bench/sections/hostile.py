"""The effect of hostile clients on others, compared with HAProxy: probes on established connections
while clients send whatever causes work, or replay ClientHellos until the server's core is
saturated; and the event loop's turns."""

import json
import math
import subprocess

import peers
from setting import CLIENT_CORES, SERVER_CORES, on
from tables import at_most, cell, median, print_table, ratio

import harness

# way of hostile-client, connections, TLS
ATTACKS = (("key-updates", 1, "1.3"), ("key-updates-requested", 1, "1.3"), ("renegotiations", 1, "1.2"),
           ("one-byte", 1, "1.3"), ("one-byte", 100, "1.3"), ("hello-bytes", 100, "1.3"),
           ("slow-reader", 100, "1.3"))
FLOODS = ("p-256", "rsa-2048", "rsa-4096")
FLOOD_CONNECTIONS = 256
OWN, PEER = "immure-proxy", "haproxy"
PROBES, PROBE_RATE = 16, 150  # enough for a P99.9 in 5 s
# docs/immure-proxy.md, "Turns and budgets": established, handshakes, timers; plus the goal's
# margin.
TURN_BOUND = 0.001 + 0.0002 + 0.0002 + 0.001
QUANTILES = ("P50", "P99", "P99.9", "max")


def start(setting, name, key, backend_port):
    if name == OWN:
        return setting.proxy(key, "async", backend_port)
    return peers.start(setting, name, key, backend_port)


def turn(server, metric, **labels):
    value = server.metric(metric, **labels)
    return None if math.isnan(value) else value


def probe(setting, port, seconds):
    try:
        return setting.storm(f"127.0.0.1:{port}", "--probes", PROBES, "--probe-rate", PROBE_RATE,
                             "--warmup", 0.5, "--duration", seconds)
    except SystemExit as error:
        if "nothing could be measured" not in str(error):
            raise
        # No probe was answered: each took longer than the whole round.
        return {"probe_seconds": dict.fromkeys(QUANTILES, seconds), "lost": PROBES, "warnings": []}


def run(setting, name, key, attack, seconds):
    """A round of probes, during which the hostile client runs."""
    way, connections, tls = attack
    with setting.responder() as backend, start(setting, name, key, backend.port) as server, on(CLIENT_CORES):
        with subprocess.Popen([harness.program_path("hostile-client"), str(server.port), way, "--tls", tls,
                               "--connections", str(connections), "--seconds", str(seconds + 1.5)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as hostile:
            summary = probe(setting, server.port, seconds)
            sent = json.loads(hostile.communicate()[0])
        figures = {f"probe_{quantile}": summary["probe_seconds"][quantile] for quantile in QUANTILES}
        figures.update(lost=summary["lost"], answered=sent["answered"] / (seconds + 1.5), cut=sent["cut"],
                       turn_p999=None, turn_max=None, warnings=summary["warnings"])
        if name == OWN:
            figures.update(turn_p999=turn(server, "immure_loop_turn_cpu_seconds", quantile="0.999"),
                           turn_max=turn(server, "immure_loop_turn_cpu_max_seconds"))
    return figures


def pause(setting, seconds):
    """Seconds: the longest that the machine itself kept a loop that does nothing from going on."""
    with on(SERVER_CORES):
        return float(subprocess.run([setting.tool("bench-pauses"), str(seconds)], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, text=True, check=True).stdout)


def measure(setting, given):
    """{"attacks" or "floods": {what: {server: [figures]}}}"""
    seconds = given.seconds or (1.0 if given.quick else 5.0)
    names = (OWN, *(name for name in peers.installed() if name == PEER))
    cases = {"attacks": {f"{way} from {count}, {tls}": ("p-256", (way, count, tls)) for way, count, tls in ATTACKS},
             "floods": {key: (key, ("replays", FLOOD_CONNECTIONS, "1.3")) for key in FLOODS if key in given.key}}
    found = {kind: {what: {name: [] for name in names} for what in each} for kind, each in cases.items()}
    pauses = []
    for number in range(given.rounds):
        pauses.append(pause(setting, 4 * seconds))
        for kind, each in cases.items():
            for what, (key, attack) in each.items():
                for name in names if number % 2 == 0 else reversed(names):
                    found[kind][what][name].append(run(setting, name, key, attack, seconds))
    print(f"## Hostile: {PROBES} established connections at {PROBE_RATE}/s each, beside hostile clients "
          "(hostile-client); turns in CPU time of the thread. Where no probe was answered at all, the round's length "
          "stands for each\n")
    print_cases(found["attacks"])
    print("A loop that does nothing but read its CPU's clock, on the same core, had a longest pause of "
          f"{', '.join(f'{each * 1e3:.2f}' for each in pauses)} ms ({4 * seconds:g} s each round): "
          "so much of a longest turn may be the host's.\n")
    print(f"## Floods: the same beside {FLOOD_CONNECTIONS} clients that replay ClientHellos and reset\n")
    print_cases(found["floods"])
    return found


def print_cases(cases):
    print_table(("what", "server", *(f"probe {quantile} ms" for quantile in QUANTILES), "turn P99.9 ms", "max ms",
                 "handshakes/s"),
                [(what, name, *(cell(median(rounds, f"probe_{quantile}"), "{:.2f}", 1e3) for quantile in QUANTILES),
                  cell(median(rounds, "turn_p999"), "{:.2f}", 1e3), cell(median(rounds, "turn_max"), "{:.2f}", 1e3),
                  cell(median(rounds, "answered")))
                 for what, servers in cases.items() for name, rounds in servers.items()])


def goals(found):
    for what, servers in (found["attacks"] | found["floods"]).items():
        yield at_most(f"longest turn beside {what}, CPU ms", median_ms(servers[OWN], "turn_max"),
                      f"{TURN_BOUND * 1e3:.1f}")
    if PEER not in next(iter(found["attacks"].values())):
        return
    for what, servers in found["attacks"].items():
        yield at_most(f"longest probe beside {what}: over HAProxy", ratio(servers, "probe_max", PEER)[OWN], "0.5")
    for key, servers in found["floods"].items():
        for quantile in ("P50", "P99", "P99.9"):
            yield at_most(f"probe {quantile} beside a flood, {key}: over HAProxy",
                          ratio(servers, f"probe_{quantile}", PEER)[OWN], "0.7")


def median_ms(rounds, name):
    value = median(rounds, name)
    return None if value is None else value * 1e3

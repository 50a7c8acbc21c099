"""The duration of event-loop turns in each signing mode, under a storm that does not saturate the
server."""

import modes
from setting import CONNECTIONS, cpu_of
from tables import at_most, print_table, ratio

KEY = "rsa-4096"
LOAD = 0.5  # share of the server's core, in-process
PROBE_RATE = 50


def capacity(setting, key):
    """The handshakes per second that would saturate the server's core in-process. It is computed
    from the CPU time, so that other load on the machine does not affect it."""
    with setting.responder() as backend, setting.proxy(key, "in-process", backend.port) as proxy:
        summary = setting.storm(f"127.0.0.1:{proxy.port}", "--concurrency", CONNECTIONS,
                                "--request", "/", "--tls", "1.3", "--warmup", 0.2,
                                "--duration", 1, "--cost", proxy.pid)
        spent, _ = cpu_of(summary)
        if spent is None:
            raise SystemExit("bench: the server used too little CPU time in a second to know its "
                             "capacity")
        return 1e6 / spent


def measure(setting, given):
    """{mode: [figures]}"""
    seconds = given.seconds or (3.0 if given.quick else 8.0)
    rate = LOAD * capacity(setting, KEY)
    rounds = {mode: [] for mode in modes.MODES}
    for mode in modes.alternate(given.rounds):
        rounds[mode].append(modes.storm(setting, KEY, mode, seconds, PROBE_RATE,
                                        "--rate", f"{rate:.1f}", "--tls", "1.3"))
    print(f"## Turns: open loop of {rate:.0f} handshakes/s ({LOAD:.0%} of a core in-process), {KEY}, "
          f"TLS 1.3; {modes.PROBES} established connections at {PROBE_RATE}/s each\n")
    print_table(("key, TLS", "signing", *modes.HEAD),
                [(f"{KEY}, 1.3", mode, *modes.row(rounds, mode)) for mode in modes.MODES])
    return rounds


def goals(found):
    yield at_most("P99.9 turn under an RSA-4096 storm: async over in-process",
                  ratio(found, "turn_p999")["async"], "0.10", "{:.3f}")

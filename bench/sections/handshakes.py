"""The cost of a handshake in each signing mode, with a saturated server and concurrent probes."""

import modes
from setting import CONNECTIONS, STORM_CORES
from tables import at_most, print_table, ratio

# The bound on an asynchronous handshake's CPU time, relative to in-process mode: isolation at
# negative cost
KEYS = {"p-256": 1.05, "rsa-2048": 0.85, "rsa-4096": 0.40, "p-384": 0.30}
PROBE_RATE = 25  # enough for a P99 in 3 s


def measure(setting, given):
    """{"KEY, TLS": {mode: [figures]}}"""
    found = {}
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    for key in given.key:
        for tls in given.tls:
            rounds = found[f"{key}, {tls}"] = {mode: [] for mode in modes.MODES}
            for mode in modes.alternate(given.rounds):
                rounds[mode].append(modes.storm(setting, key, mode, seconds, PROBE_RATE,
                                                "--concurrency", CONNECTIONS, "--tls", tls, saturate=True))
    print(f"## Handshakes: closed loop of {CONNECTIONS} from cores {sorted(STORM_CORES)}, full, with a small GET; "
          f"{modes.PROBES} established connections at {PROBE_RATE}/s each beside them")
    print(f"\nMedians of {given.rounds} alternating round(s) of {seconds:g} s; CPU is user + system "
          "per handshake, the probes' share included.\n")
    print_table(("key, TLS", "signing", *modes.HEAD),
                [(what, mode, *modes.row(rounds, mode))
                 for what, rounds in found.items() for mode in modes.MODES])
    return found


def goals(found):
    for what, rounds in found.items():
        key, tls = what.split(", ")
        yield at_most(f"CPU of a handshake, {key}, TLS {tls}: async over in-process",
                      ratio(rounds, "cpu")["async"], f"{KEYS[key]:.2f}")

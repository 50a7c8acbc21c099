"""The cost of a signature with the backends `multibuffer` and `openssl`: many at a time, and
one."""

import os
import subprocess

import window
from tables import median, print_table

import harness
from certificates import certificate

BACKENDS = ("openssl", "multibuffer")
WINDOW = 64  # concurrent requests
# The goal for multibuffer: signatures per second of CPU time, as a multiple of OpenSSL 3.0's; None:
# no goal
KEYS = {"rsa-2048": 1.8, "rsa-3072": 2.5, "rsa-4096": 3.0, "p-256": 2.0, "p-384": 10.0,
        "ed25519": None}
SLOWER_US = 10  # us, the most that multibuffer may be slower for one at a time


def served(setting, immured, key):
    """Whether `multibuffer` supports such keys here; if not, prints immured's reason."""
    path = os.path.join(setting.directory, "served.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'backend = "multibuffer"\nkey "one" {{ file = "{certificate(key).key}" }}\n')
    done = subprocess.run([immured, "--config", path, "--test"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        print(f"## Signatures by multibuffer: {key}: SKIPPED: {done.stderr.strip()}\n")
    return done.returncode == 0


def measure(setting, given):
    """{key: {backend: {"many": [figures], "one": [figures]}}}; the backends take turns."""
    seconds = 0.5 if given.quick else 1.5
    immured = harness.program_path("immured")
    found = {key: {backend: {"many": [], "one": []} for backend in BACKENDS}
             for key in KEYS if served(setting, immured, key)}
    for number in range(given.rounds):
        for key, backends in found.items():
            for backend in BACKENDS if number % 2 == 0 else reversed(BACKENDS):
                for kind, width in (("many", WINDOW), ("one", 1)):
                    backends[backend][kind].append(window.run(
                        setting, immured, key, backend, width, seconds))
    print(f"## Signatures: through the socket, verification included; {WINDOW} at a time, "
          "per second of immured's CPU time; one at a time, the round trip in us\n\n"
          "Medians of the rounds, but of one at a time the quickest round's P5.\n")
    print_table(("key", "", *BACKENDS, "ratio", *(f"one by {backend}" for backend in BACKENDS)),
                list(rows(found)))
    return found


def quickest(rounds):
    """Microseconds for one at a time, from the quickest round, because other load only makes it
    longer."""
    return min(each["round_trip_us"] for each in rounds)


def gain(backends):
    """Signatures per CPU second of immured: the ratio of multibuffer to openssl."""
    return (median(backends["openssl"]["many"], "immured_us") /
            median(backends["multibuffer"]["many"], "immured_us"))


def slower(backends):
    """How much longer one at a time takes with multibuffer, in microseconds."""
    return quickest(backends["multibuffer"]["one"]) - quickest(backends["openssl"]["one"])


def rows(found):
    for key, backends in found.items():
        many = [median(backends[backend]["many"], "immured_us") for backend in BACKENDS]
        one = [quickest(backends[backend]["one"]) for backend in BACKENDS]
        yield (key, "", *(f"{1e6 / each:.0f}" for each in many), f"{gain(backends):.2f}",
               *(f"{each:.1f}" for each in one))


def goals(found):
    for key, backends in found.items():
        value = gain(backends)
        if KEYS[key] is not None:
            yield (f"{key} signatures, multibuffer over openssl, {WINDOW} at a time",
                   f">= {KEYS[key]:.1f}", f"{value:.2f}", value >= KEYS[key])
    if not found:
        return
    worst = max(found, key=lambda key: slower(found[key]))
    value = slower(found[worst])
    yield (f"one at a time, multibuffer over openssl, us more ({worst}, the worst)",
           f"<= {SLOWER_US}", f"{value:+.1f}", value <= SLOWER_US)

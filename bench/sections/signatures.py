"""What a signature costs by the backend `multibuffer` and by `openssl`: many at a time, and one."""

import os
import subprocess

import window
from tables import median, print_table

import harness
from certificates import certificate

BACKENDS = ("openssl", "multibuffer")
WINDOW = 64  # concurrent requests
# How many times as many signatures a second of CPU time at least, on OpenSSL 3.0; None: no goal
KEYS = {"rsa-2048": 1.8, "rsa-3072": 2.5, "rsa-4096": 3.0, "p-256": 2.0, "p-384": 10.0,
        "ed25519": None}
SLOWER_US = 10  # that one at a time may be, at most


def served(setting, immured, key):
    """Whether `multibuffer` serves such keys here; if not, immured's reason is printed."""
    path = os.path.join(setting.directory, "served.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'backend = "multibuffer"\nkey "one" {{ file = "{certificate(key).key}" }}\n')
    done = subprocess.run([immured, "--config", path, "--test"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        print(f"## Signatures by multibuffer: {key}: SKIPPED: {done.stderr.strip()}\n")
    return done.returncode == 0


def measure(setting, given):
    """{key: {backend: {"many": [figures], "one": [figures]}}}, the backends in turn."""
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
    """Microseconds of one at a time: whatever else runs on the machine makes it longer."""
    return min(each["round_trip_us"] for each in rounds)


def gain(backends):
    """Signatures per CPU second of immured: multibuffer's over openssl's."""
    return (median(backends["openssl"]["many"], "immured_us") /
            median(backends["multibuffer"]["many"], "immured_us"))


def slower(backends):
    """Microseconds that one at a time takes longer."""
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

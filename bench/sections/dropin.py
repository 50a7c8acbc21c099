"""nginx with its key in immured, through the provider, compared with nginx with a key file."""

import contextlib
import os
import shutil
import subprocess

import nginx
from sections import signatures
from setting import CONNECTIONS, SERVER_CORES, cpu_of, on
from tables import at_most, cell, median, print_table, ratio

import harness
import provider
from certificates import certificate

WORKERS = 4
# nginx's workers wait for each signature, so at most WORKERS are pending. With `hold`, immured
# waits for all of them, a setting for operators who prefer less CPU time to lower latency of a
# handshake.
WAYS = {"file": None, "provider": "", "provider, hold = 5ms": "hold = 5ms"}
# Key: the signing backend, and the bound on CPU time per handshake, immured's included, relative to
# a key file
KEYS = {"p-256": ("openssl", 1.20), "rsa-2048": ("openssl", 1.05), "rsa-4096": ("multibuffer", 0.50)}

IMMURED = """\
listen = "{socket}"
threads = 1
backend = {backend}
{more}
allow-users = {{"nobody"}}
key "k" {{ file = "{key}" }}
"""


def ways(key):
    """The ways that make a difference: without batches `hold` has no effect."""
    return [way for way in WAYS if KEYS[key][0] == "multibuffer" or not WAYS[way]]


def served(setting, key):
    """Whether immured supports this here; if not, prints its reason."""
    return KEYS[key][0] != "multibuffer" or signatures.served(setting, harness.program_path("immured"), key)


@contextlib.contextmanager
def immured(setting, key, backend, more):
    """Runs immured with this key. Yields its process id, an environment and a key reference."""
    socket = os.path.join(setting.directory, "dropin.sock")
    config = os.path.join(setting.directory, "dropin.conf")
    reference = os.path.join(setting.directory, "dropin.ref")
    with open(config, "w", encoding="utf-8") as file:
        file.write(IMMURED.format(socket=socket, backend=backend, more=more, key=certificate(key).key))
    with on(SERVER_CORES):
        program = harness.Program(setting.directory, "immured", "--config", config)
    try:
        harness.wait_until(lambda: "ready:" in program.log() or not program.running(), "immured")
        if not program.running():
            raise SystemExit(f"bench: immured: {program.log()}")
        with open(reference, "w", encoding="ascii") as file:
            subprocess.run([harness.program_path("immure"), "key", "reference", "k", "--socket", socket],
                           stdout=file, check=True)
        yield program.pid, provider.environment(setting.directory), reference
    finally:
        program.stop()


def storm(setting, server, pids, seconds):
    port, pid = server
    summary = setting.storm(f"127.0.0.1:{port}", "--concurrency", CONNECTIONS, "--request", "/",
                            "--tls", "1.3", "--warmup", 0.5, "--duration", seconds,
                            "--cost", ",".join(map(str, (pid, *pids))))
    own, keys = cpu_of(summary)
    return {"cpu": own + keys if own is not None else None, "cpu_server": own,
            "cpu_immured": keys, "rate": summary["full"] / summary["seconds"],
            "failed": summary["failed"] + summary["requests_failed"], "warnings": summary["warnings"]}


def measure_way(setting, key, way, seconds):
    """CPU time of a full handshake with a small GET at nginx, in microseconds."""
    if WAYS[way] is None:
        with nginx.start(setting.directory, key, workers=WORKERS, protocols="TLSv1.3") as server:
            return storm(setting, server, (), seconds)
    with immured(setting, key, KEYS[key][0], WAYS[way]) as (pid, environment, reference):
        with nginx.start(setting.directory, key, reference, WORKERS, "TLSv1.3", environment) as server:
            return storm(setting, server, (pid,), seconds)


def measure(setting, given):
    """{key: {way: [figures]}}"""
    if not shutil.which("nginx"):
        print("## Drop-in: SKIPPED: nginx is not installed\n")
        return {}
    seconds = given.seconds or (1.0 if given.quick else 4.0)
    found = {}
    for key in (key for key in KEYS if key in given.key and served(setting, key)):
        rounds = found[key] = {way: [] for way in ways(key)}
        for number in range(given.rounds):
            for way in ways(key) if number % 2 == 0 else reversed(ways(key)):
                rounds[way].append(measure_way(setting, key, way, seconds))
    print(f"## Drop-in: nginx with {WORKERS} workers, closed loop of {CONNECTIONS}, "
          "full, TLS 1.3, with a small GET; its key in a file, or in immured\n\n"
          "With `hold` immured waits for what the other workers will ask for: less CPU time, where batches "
          "are made.\n")
    print_table(("key", "", "CPU us", "nginx", "immured", "of file", "handshakes/s", "failed"),
                [(key, way if way == "file" else f"{way}, {KEYS[key][0]}",
                  *(cell(median(rounds[way], name)) for name in ("cpu", "cpu_server", "cpu_immured")),
                  cell(ratio(rounds, "cpu", "file")[way], "{:.2f}"), cell(median(rounds[way], "rate")),
                  sum(each["failed"] for each in rounds[way]))
                 for key, rounds in found.items() for way in rounds])
    return found


def goals(found):
    for key, rounds in found.items():
        backend, most = KEYS[key]
        for way, value in ratio(rounds, "cpu", "file").items():
            if way != "file":
                yield at_most(f"CPU of a handshake at nginx, {key}: {way}, {backend}, over key file", value,
                              f"{most:.2f}")

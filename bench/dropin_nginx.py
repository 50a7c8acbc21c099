"""The section `dropin`: nginx with its key in immured, through the provider, over nginx with a key file."""

import contextlib
import os
import subprocess

from setting import SERVER_CORES, on
import sections
import signatures

import harness
import provider
from certificates import certificate

WORKERS = 4
# Workers that wait for each signature have no more than WORKERS under way. With `hold` immured waits for all of them, as
# operators set it who mind CPU time more than the latency of one handshake.
WAYS = {"file": None, "provider": "", "provider, hold = 5ms": "hold = 5ms"}
# Key: what signs in immured, and how much CPU time a handshake may take of that with a key file, immured's
# included
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
    """Those that differ: without batches there is nothing to wait for."""
    return [way for way in WAYS if KEYS[key][0] == "multibuffer" or not WAYS[way]]


def served(setting, key):
    """Whether immured can sign so here; if not, its reason is printed."""
    return KEYS[key][0] != "multibuffer" or signatures.served(setting, harness.program_path("immured"), key)


@contextlib.contextmanager
def immured(setting, key, backend, more):
    """One with this key. Gives its process id, an environment and a key reference."""
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


def storm(setting, nginx, pids, seconds):
    port, pid = nginx
    summary = setting.storm(f"127.0.0.1:{port}", "--concurrency", sections.CONNECTIONS, "--request", "/",
                            "--tls", "1.3", "--warmup", 0.5, "--duration", seconds,
                            "--cost", ",".join(map(str, (pid, *pids))))
    server, keys = sections.cpu_of(summary)
    return {"cpu": server + keys if server is not None else None, "cpu_server": server,
            "cpu_immured": keys, "rate": summary["full"] / summary["seconds"],
            "failed": summary["failed"] + summary["requests_failed"], "warnings": summary["warnings"]}


def measure(setting, key, way, seconds):
    """A full handshake with a small GET at nginx with four workers: microseconds of CPU time."""
    if WAYS[way] is None:
        with sections.nginx(setting.directory, key, workers=WORKERS, protocols="TLSv1.3") as nginx:
            return storm(setting, nginx, (), seconds)
    with immured(setting, key, KEYS[key][0], WAYS[way]) as (pid, environment, reference):
        with sections.nginx(setting.directory, key, reference, WORKERS, "TLSv1.3", environment) as nginx:
            return storm(setting, nginx, (pid,), seconds)

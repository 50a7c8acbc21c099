"""Runs the tools on bench/window.c: an immured and one client that keeps a window of requests
pending."""

import json
import subprocess

from setting import CORES, SERVER_CORES, on

from certificates import certificate

SCHEMES = {"rsa-2048": "0x0804", "rsa-3072": "0x0804", "rsa-4096": "0x0804",  # of TLS 1.3
           "p-256": "0x0403", "p-384": "0x0503", "p-521": "0x0603", "ed25519": "0x0807"}


def run(setting, immured, key, backend, window, seconds, cores=None, tool="bench-exchange"):
    with on(cores or set(CORES)):
        done = subprocess.run(
            [setting.tool(tool), immured, certificate(key).key, SCHEMES[key], backend,
             str(window), str(seconds)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"bench: {tool}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def run_replayed(setting, window, seconds, tool="bench-exchange"):
    """The same without the cost of signing: immured repeats its first signature."""
    return run(setting, setting.tool("bench-immured-replay"), "p-256", "replay", window, seconds,
               SERVER_CORES, tool)

"""The measurements, each a function that returns one round's figures as plain numbers (None: not
enough samples)."""

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import time

from setting import CLIENT_CORES, CORES, SERVER_CORES, Child, on

import clients
import harness
import proc
from certificates import certificate

CONNECTIONS = 64  # of the closed loop
PROBES, PROBE_RATE = 16, 25  # 3 s of them are enough for a P99
TURN_PROBE_RATE = 50
WINDOW = 32  # signatures under way in the exchange
ADAPTERS, ADAPTER_WINDOW = ("openssl", "boringssl", "picotls"), 64
SCHEMES = {"rsa-2048": "0x0804", "rsa-3072": "0x0804", "rsa-4096": "0x0804",  # of TLS 1.3
           "p-256": "0x0403", "p-384": "0x0503", "ed25519": "0x0807"}


def turn_quantile(proxy, quantile):
    """Seconds, of all turns since the proxy began."""
    value = proxy.metric("immure_loop_turn_all_seconds", quantile=quantile)
    return None if math.isnan(value) else value


def cpu_of(summary):
    """Microseconds of CPU time per handshake: (immure-proxy, immured)."""
    cost = summary["cost"]
    if cost is None:
        return None, None
    per = 1e6 / cost["handshakes"]
    immured = sum(spent for name, spent in cost["processes"].items()
                  if name.startswith("immured"))
    return (cost["cpu_seconds"] - immured) * per, immured * per


def figures(proxy, summary):
    proxy_cpu, immured_cpu = cpu_of(summary)
    if summary["failed"] or summary["requests_failed"] or summary["lost"]:
        print(f"bench: in {proxy.config_path}: {summary['failures']} "
              f"{summary['probe_failures']}, {summary['lost']} probes lost", file=sys.stderr)
    return {
        "cpu": proxy_cpu + immured_cpu if proxy_cpu is not None else None,
        "cpu_proxy": proxy_cpu,
        "cpu_immured": immured_cpu,
        "rate": summary["full"] / summary["seconds"],
        "probe_p50": summary["probe_seconds"]["P50"],
        "probe_p99": summary["probe_seconds"]["P99"],
        "turn_p50": turn_quantile(proxy, "0.5"),
        "turn_p99": turn_quantile(proxy, "0.99"),
        "turn_p999": turn_quantile(proxy, "0.999"),
        "warnings": summary["warnings"],
    }


def handshakes(setting, key, tls, mode, seconds):
    """A server that is kept busy: full handshakes with a small GET, and probes beside."""
    with setting.responder() as backend, setting.proxy(key, mode, backend.port) as proxy:
        summary = setting.storm(
            f"127.0.0.1:{proxy.port}", "--concurrency", CONNECTIONS, "--request", "/", "--tls", tls,
            "--warmup", 0.5, "--duration", seconds, "--cost", proxy.pid,
            "--probes", PROBES, "--probe-rate", PROBE_RATE)
        return figures(proxy, summary)


def capacity(setting, key):
    """Handshakes per second that would fill the server's core in-process. From the CPU time, so that
    what else runs on the machine does not change the load."""
    with setting.responder() as backend, setting.proxy(key, "in-process", backend.port) as proxy:
        summary = setting.storm(f"127.0.0.1:{proxy.port}", "--concurrency", CONNECTIONS,
                                "--request", "/", "--tls", "1.3", "--warmup", 0.2,
                                "--duration", 1, "--cost", proxy.pid)
        spent, _ = cpu_of(summary)
        if spent is None:
            raise SystemExit("bench: the server used too little CPU time in a second to know its "
                             "capacity")
        return 1e6 / spent


def turns(setting, key, mode, rate, seconds):
    """An open-loop storm that leaves the server some time: what its event loop's turns take."""
    with setting.responder() as backend, setting.proxy(key, mode, backend.port) as proxy:
        summary = setting.storm(
            f"127.0.0.1:{proxy.port}", "--rate", f"{rate:.1f}", "--request", "/", "--tls", "1.3",
            "--warmup", 0.5, "--duration", seconds, "--cost", proxy.pid,
            "--probes", PROBES, "--probe-rate", TURN_PROBE_RATE)
        return figures(proxy, summary)


def signatures(setting, immured, key, backend, window, seconds, cores=None, tool="bench-exchange"):
    """What bench-exchange, or one through an adapter, says of an immured and one client of it."""
    with on(cores or set(CORES)):
        done = subprocess.run(
            [setting.tool(tool), immured, certificate(key).key, SCHEMES[key], backend,
             str(window), str(seconds)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"bench: {tool}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def exchange(setting, seconds):
    """CPU microseconds of a signature without the signature: libimmure, wire and socket."""
    return signatures(setting, setting.tool("bench-immured-replay"), "p-256", "replay", WINDOW,
                      seconds, SERVER_CORES)


def adapter(setting, name, seconds):
    """The same through the adapter of a TLS library."""
    return signatures(setting, setting.tool("bench-immured-replay"), "p-256", "replay",
                      ADAPTER_WINDOW, seconds, SERVER_CORES, f"bench-adapter-{name}")


NGINX = """\
daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port} ssl backlog=1024;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols {protocols};
        ssl_session_tickets off; # wrk would resume
        ssl_session_cache off;
        location / {{ return 200 "ok"; }}
    }}
}}
"""


def accepts(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nginx(directory, kind="p-256", key_file=None, workers=1, protocols="TLSv1.2", environment=None):
    """Debian's, on the server's core. Gives its port and its process id."""
    chain, port = certificate(kind), harness.free_port()
    path = os.path.join(directory, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NGINX.format(directory=directory, port=port, workers=workers, chain=chain.chain,
                                key=key_file or chain.key, protocols=protocols))
    with on(SERVER_CORES):
        process = subprocess.Popen(["nginx", "-e", "stderr", "-c", path], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment)
    try:
        harness.wait_until(lambda: accepts(port), "nginx")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def generator(setting, seconds):
    """Full handshakes with a GET each, per second, as two tools count them: immure-storm and wrk."""
    with nginx(setting.directory) as (port, _):
        summary = setting.storm(f"127.0.0.1:{port}", "--concurrency", CONNECTIONS, "--request", "/",
                                "--warmup", 0.5, "--duration", seconds)
        with on(CLIENT_CORES):
            done = subprocess.run(
                ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{math.ceil(seconds)}s",
                 "-H", "Connection: close", f"https://127.0.0.1:{port}/"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=True)
    rate = next(line.split()[1] for line in done.stdout.splitlines()
                if line.startswith("Requests/sec"))
    return {"storm": summary["full"] / summary["seconds"], "wrk": float(rate)}


def memory(pid):
    """Bytes of memory that are the process's own share (PSS)."""
    for line in proc.read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: no Pss in /proc/{pid}/smaps_rollup")


def growth(pid, port, count):
    """Bytes that `count` established idle connections add, for each."""
    tls = clients.context(clients.TLS13)
    with contextlib.ExitStack() as stack, on(CLIENT_CORES):
        for _ in range(50):  # what is there once and not for each
            stack.enter_context(clients.connect(port, tls))
        time.sleep(0.3)
        before = memory(pid)
        for _ in range(count):
            stack.enter_context(clients.connect(port, tls))
        time.sleep(0.5)
        return (memory(pid) - before) / count


def idle(setting, count):
    """Bytes for each idle established connection: (immure-proxy's worker, libssl alone)."""
    chain = certificate("p-256")
    with setting.responder() as backend, setting.proxy("p-256", "async", backend.port) as proxy:
        worker = growth(proxy.worker(), proxy.port, count)
    with Child(setting.tool("bench-idle-openssl"), chain.chain, chain.key,
               cores=SERVER_CORES) as bare:
        return {"worker": worker, "openssl": growth(bare.pid, bare.port, count)}

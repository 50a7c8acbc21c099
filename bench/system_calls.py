"""System calls of the process that terminates TLS, for each full handshake with a small GET and a
close: immure-proxy's worker, and nginx (stream) and HAProxy before the same backend."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from setting import ROOT, SERVER_CORES, on

import harness
import proc
from certificates import certificate

sys.path.insert(0, os.path.join(ROOT, "bench", "overload"))
import servers  # noqa: E402  (peers, as the overload report starts them)

CONNECTIONS = 16
STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


def nginx_stream(directory, cert, port, backend_port):
    config = f"""\
load_module {STREAM_MODULE};
daemon off;
worker_processes 1;
pid {directory}/nginx-{port}.pid;
error_log stderr error;
events {{ worker_connections 9000; }}
stream {{
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {cert.chain};
        ssl_certificate_key {cert.key};
        ssl_session_cache off;
        tcp_nodelay on;
        proxy_pass 127.0.0.1:{backend_port};
    }}
}}
"""
    return config, [shutil.which("nginx"), "-p", directory, "-c",
                    servers.write(os.path.join(directory, "stream.conf"), config)]


def peers():
    """{name: how it is started} of those that are installed."""
    found = {}
    if shutil.which("nginx") and os.path.exists(STREAM_MODULE):
        found["nginx"] = nginx_stream
    if shutil.which("haproxy"):
        found["haproxy"] = servers.haproxy
    return found


@contextlib.contextmanager
def peer(setting, name, key, backend_port):
    port = harness.free_port()
    config, command = peers()[name](setting.directory, certificate(key), port, backend_port)
    server = servers.Peer(setting.directory, name, port, config, command)
    try:
        harness.wait_until(server.ready, name)
        yield server
    finally:
        server.stop()


def terminator(server):
    """The process that has the connections: the last child, where there are children."""
    if hasattr(server, "worker"):
        return server.worker()
    return max(proc.children(server.pid), key=proc.started, default=server.pid)


def counted(text):
    """{call: times} of strace -c."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", text, re.MULTILINE)
    return {name: int(times) for times, name in rows if name != "total"}


def count(setting, server, seconds, *options):
    """{call: times for each handshake}"""
    path = os.path.join(setting.directory, "strace.txt")
    with on(SERVER_CORES):
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", path, "-p", str(terminator(server))],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    summary = setting.storm(f"127.0.0.1:{server.port}", "--concurrency", CONNECTIONS, "--request",
                            "/", "--tls", "1.3", "--warmup", 0, "--duration", seconds, *options)
    time.sleep(0.3)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    with open(path, encoding="utf-8") as file:
        calls = counted(file.read())
    handshakes = summary["full"]
    return {name: times / handshakes for name, times in calls.items()}


def measure(setting, seconds):
    """{server: {call: times for each handshake}}"""
    found = {}
    with setting.responder() as backend:
        with setting.proxy("p-256", "async", backend.port) as proxy:
            found["immure-proxy"] = count(setting, proxy, seconds)
        for name in peers():
            with peer(setting, name, "p-256", backend.port) as server:
                found[name] = count(setting, server, seconds)
    return found


def total(calls):
    return sum(calls.values())


def rows(found):
    """For a table: a row for each call that somebody makes at least once in a hundred handshakes."""
    names = sorted({name for calls in found.values() for name, times in calls.items()
                    if times >= 0.01}, key=lambda name: -max(calls.get(name, 0)
                                                             for calls in found.values()))
    yield ("all", "", *(f"{total(calls):.2f}" for calls in found.values()))
    for name in names:
        yield (name, "", *(f"{calls.get(name, 0):.2f}" for calls in found.values()))

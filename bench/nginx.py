"""Debian's nginx as a web server."""

import contextlib
import os
import socket
import subprocess

from setting import SERVER_CORES, on

import harness
from certificates import certificate

CONFIG = """\
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
def start(directory, kind="p-256", key_file=None, workers=1, protocols="TLSv1.2", environment=None):
    """Starts nginx on the server's core. Yields its port and process id."""
    chain, port = certificate(kind), harness.free_port()
    path = os.path.join(directory, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(directory=directory, port=port, workers=workers, chain=chain.chain,
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

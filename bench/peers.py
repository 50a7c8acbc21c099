"""Other TLS proxies with the same backend as immure-proxy: nginx (stream), HAProxy and hitch."""

import contextlib
import os
import shutil
import sys

from setting import ROOT

import harness
from certificates import certificate

sys.path.insert(0, os.path.join(ROOT, "bench", "overload"))
import servers  # noqa: E402  (peers, as the overload report starts them)

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


def installed():
    """{name: function that starts it} of the installed ones."""
    found = {}
    if shutil.which("nginx") and os.path.exists(STREAM_MODULE):
        found["nginx"] = nginx_stream
    if shutil.which("haproxy"):
        found["haproxy"] = servers.haproxy
    if shutil.which("hitch"):
        found["hitch"] = servers.hitch
    return found


@contextlib.contextmanager
def start(setting, name, key, backend_port):
    port = harness.free_port()
    config, command = installed()[name](setting.directory, certificate(key), port, backend_port)
    server = servers.Peer(setting.directory, name, port, config, command)
    try:
        harness.wait_until(server.ready, name)
        yield server
    finally:
        server.stop()

"""The servers under the storm: immure-proxy in each signing mode, and other installed proxies. Each
has one process with one event loop, on one core, with the same backend and certificate."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import time

import clients
import harness
import proc
from certificates import certificate
from setting import ROOT, SERVER_CORES, on

MODES = ("in-process", "sync", "async")


class Peer:
    """Another running proxy, with `pid`, `port` and `config` like immure-proxy's."""

    def __init__(self, directory, name, port, config, command):
        self.port, self.config = port, config
        self.log_path = os.path.join(directory, f"{name}-{port}.log")
        with on(SERVER_CORES), open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=directory, start_new_session=True)
        self.pid = self.process.pid

    def ready(self):
        if self.process.poll() is not None:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                raise AssertionError(log.read()[-2000:])
        try:
            clients.connect(self.port).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in proc.children(self.pid):
                os.kill(pid, 9)
            self.process.kill()
            self.process.wait()


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def joined(directory, cert):
    """Certificate and key in one file, for HAProxy and hitch."""
    text = "".join(pathlib.Path(part).read_text(encoding="ascii") for part in (cert.chain, cert.key))
    return write(os.path.join(directory, "joined.pem"), text, 0o600)


def nginx(directory, cert, port, backend_port):
    config = f"""\
daemon off;
master_process on;
worker_processes 1;
pid {directory}/nginx-{port}.pid;
error_log stderr error;
events {{ worker_connections 9000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    keepalive_requests 1000000000;
    upstream app {{ server 127.0.0.1:{backend_port}; keepalive 256; }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {cert.chain};
        ssl_certificate_key {cert.key};
        location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""
    path = write(os.path.join(directory, "nginx.conf"), config)
    return config, [shutil.which("nginx"), "-p", directory, "-c", path]


def haproxy(directory, cert, port, backend_port):
    config = f"""\
global
    nbthread 1
    maxconn 9000
    tune.ssl.default-dh-param 2048
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend https
    bind 127.0.0.1:{port} backlog 4096 ssl crt {joined(directory, cert)} ssl-min-ver TLSv1.2
    default_backend app
backend app
    server app 127.0.0.1:{backend_port}
"""
    return config, [shutil.which("haproxy"), "-W", "-db", "-f",
                    write(os.path.join(directory, "haproxy.cfg"), config)]


def hitch(directory, cert, port, backend_port):
    config = f"""\
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{backend_port}"
pem-file = "{joined(directory, cert)}"
workers = 1
backlog = 4096
tls-protos = TLSv1.2 TLSv1.3
user = "nobody"
daemon = off
quiet = on
"""
    return config, [shutil.which("hitch"), "--config",
                    write(os.path.join(directory, "hitch.conf"), config)]


PEERS = {"nginx": nginx, "haproxy": haproxy, "hitch": hitch}


def version(name):
    """The version that the program prints."""
    option = "-V" if name == "hitch" else "-v"
    done = subprocess.run([name, option], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def installed_peers():
    return [name for name in PEERS if shutil.which(name)]


def slower_backends(directory):
    """The signing backends to compare the default with: `openssl`, where the default is faster."""
    path = write(os.path.join(directory, "backend.conf"),
                 f'backend = "multibuffer"\nkey "backend" {{ file = "{certificate("rsa-2048").key}" }}\n')
    tried = subprocess.run([harness.program_path("immured"), "--test", "--config", path],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    return ["openssl"] if tried.returncode == 0 else []


@contextlib.contextmanager
def running(setting, plan, name, key, backend_port):
    """The server of this name: a signing mode, "async BACKEND", or a peer."""
    if name not in PEERS:
        mode, _, signing_backend = name.partition(" ")
        with setting.proxy(key, mode, backend_port, signing_backend,
                           top=f"priority = {plan.priority}") as proxy:
            yield proxy
        return
    port = harness.free_port()
    config, command = PEERS[name](setting.directory, certificate(key), port, backend_port)
    peer = Peer(setting.directory, name, port, config, command)
    try:
        harness.wait_until(peer.ready, name)
        yield peer
    finally:
        peer.stop()


def descendants(pid):
    found = [pid]
    for child in proc.children(pid):
        found += descendants(child)
    return found


def cpu_by_program(pid):
    """{program: CPU seconds} of the process and all its descendants."""
    spent = {}
    for each in descendants(pid):
        try:
            name = proc.program(each)
            spent[name] = spent.get(name, 0) + time.clock_gettime(cpu_clock(each))
        except (OSError, ProcessLookupError):
            continue  # the process has just ended
    return spent


def cpu_clock(pid):
    """clock_getcpuclockid(3): the process's CPU time, more precise than the ticks in /proc."""
    return (~pid << 3) | 2


def put_ahead(pid):
    """Gives this process's session most of the machine (sched(7), autogroups). Scheduling within
    the session, including nice values, is not affected."""
    with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
        file.write("-20")


def core_busy(cores):
    """The busy time of these cores since boot, in seconds."""
    with open("/proc/stat", encoding="ascii") as file:
        rows = [line.split() for line in file if re.match(r"cpu\d", line)]
    ticks = sum(sum(int(row[i]) for i in (1, 2, 3, 6, 7, 8)) for row in rows
                if int(row[0][3:]) in cores)
    return ticks / os.sysconf("SC_CLK_TCK")

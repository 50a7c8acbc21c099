"""Servers with many certificates in a folder, as make-certificates writes them: immure-proxy, HAProxy and nginx."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

import harness
import proc
from clients import connect, ssl

WORKERS = 4
PEERS_MOST = 10_000  # with more, the others take minutes or hours to start


class Folder:
    """`count` certificates for the names n0.example, n1.example ..."""

    def __init__(self, setting, count):
        self.count = count
        self.path = os.path.join(setting.directory, "certificates")
        os.mkdir(self.path)
        self.make(count)

    def make(self, count):
        """Makes the first of them, or makes them anew, from a new root."""
        subprocess.run([harness.program_path("make-certificates"), self.path, str(count)], check=True)
        self.context = ssl.create_default_context(cafile=os.path.join(os.path.dirname(self.path), "ca.pem"))

    def forget_pages(self):
        """Drops the page cache, so that files are read from the disk. False: only root may do that."""
        os.sync()
        try:
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
                file.write("3\n")
        except OSError:
            return False
        return True


class Part:
    """Another folder, of the first certificates of one only."""

    def __init__(self, folder, count):
        self.count, self.context = min(count, folder.count), folder.context
        self.path = f"{folder.path}-{self.count}"
        os.makedirs(self.path, exist_ok=True)
        for number in range(self.count):
            for end in (".crt", ".key"):
                link = os.path.join(self.path, name_of(number) + end)
                if not os.path.exists(link):
                    os.link(os.path.join(folder.path, name_of(number) + end), link)


def name_of(number):
    return f"n{number}.example"


def tree(pid):
    """The process and its descendants."""
    return [pid, *(below for child in proc.children(pid) for below in tree(child))]


def cpu_of(pid):
    """CPU seconds of the process, of its descendants, and of those that have ended."""
    ticks = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(map(int, proc.stat(each)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_of(pid):
    """Bytes of memory (PSS) of the process and its descendants."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += sum(int(line.split()[1]) for line in proc.read(each, "smaps_rollup").splitlines()
                         if line.startswith("Pss:"))
    return total * 1024


class Server:
    """A running server, and how long it took until it served the last name of the folder."""

    def __init__(self, directory, name, port, command, folder):
        self.port, self.folder = port, folder
        self.log_path = os.path.join(directory, f"{name}-{port}.log")
        begun = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=directory, start_new_session=True)
        self.pid = self.process.pid
        try:
            harness.wait_until(self.serves, name, limit=1800)
        except BaseException:
            self.stop()
            raise
        self.took = time.monotonic() - begun
        self.cpu = cpu_of(self.pid)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def serves(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: {self.log()[-2000:]}")
        try:
            self.handshake(self.folder.count - 1)
            return True
        except OSError:
            return False

    def handshake(self, number):
        """Seconds; the certificate is verified, so it is the right one."""
        begun = time.perf_counter()
        connect(self.port, self.folder.context, name=name_of(number)).close()
        return time.perf_counter() - begun

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            for pid in reversed(tree(self.pid)):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


def last_summary(file):
    """Of immure-storm's --json."""
    return json.loads(file.readlines()[-1])


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def immure_proxy(directory, port, backend_port, folder_path, top=""):
    config = f"""\
workers = {WORKERS}
{top}
frontend "web" {{
    listen = {{ "127.0.0.1:{port}" }}
    certificates = "{folder_path}"
    backend = "app"
}}
backend "app" {{ address = "127.0.0.1:{backend_port}" }}
keys {{ threads = 2 }}
"""
    return [harness.program_path("immure-proxy"), "--config", write(directory, "many.conf", config)]


def haproxy(directory, port, backend_port, folder_path):
    config = f"""\
global
    nbthread {WORKERS}
    ssl-load-extra-del-ext
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend https
    bind 127.0.0.1:{port} backlog 4096 ssl crt {folder_path} ssl-min-ver TLSv1.2
    default_backend app
backend app
    server app 127.0.0.1:{backend_port}
"""
    return [shutil.which("haproxy"), "-W", "-db", "-f", write(directory, "many.cfg", config)]


def nginx(directory, port, backend_port, folder_path):
    names = sorted(name[: -len(".crt")] for name in os.listdir(folder_path) if name.endswith(".crt"))
    servers = "".join(f"""\
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {name};
        ssl_certificate {folder_path}/{name}.crt;
        ssl_certificate_key {folder_path}/{name}.key;
        location / {{ proxy_pass http://127.0.0.1:{backend_port}; }}
    }}
""" for name in names)
    config = f"""\
daemon off;
worker_processes {WORKERS};
pid {directory}/many-nginx.pid;
error_log stderr error;
events {{ worker_connections 9000; }}
http {{
    access_log off;
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;
    ssl_session_cache off;
{servers}}}
"""
    return [shutil.which("nginx"), "-e", "stderr", "-p", directory, "-c", write(directory, "many-nginx.conf", config)]


PEERS = {"haproxy": haproxy, "nginx": nginx}


@contextlib.contextmanager
def start(setting, name, command, folder, backend_port, *arguments):
    """`folder` says which names there are; `arguments` begin with the path to give to the server."""
    port = harness.free_port()
    server = Server(setting.directory, name, port, command(setting.directory, port, backend_port, *arguments), folder)
    try:
        yield server
    finally:
        server.stop()

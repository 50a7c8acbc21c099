"""Servers to run behind immure-proxy. Each connection has a thread of its own."""

import functools
import hashlib
import http.server
import os
import random
import socket
import struct
import threading


class Backend:
    """Runs handler(connection) for every connection, over TCP or on a unix socket."""

    def __init__(self, handler, unix_path=None):
        self.handler = handler
        self.accepted = 0
        self.open = set()
        if unix_path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(unix_path)
            os.chmod(unix_path, 0o666)
            self.address = "unix:" + unix_path
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.listen(1024)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.begin(connection)

    def begin(self, connection):
        threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        self.open.add(connection)
        try:
            self.handler(connection)
        except OSError:
            pass  # the other end is gone
        finally:
            self.open.discard(connection)
            connection.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def echo(connection):
    """Echoes what it receives, and ends its direction when the other end has."""
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


@functools.lru_cache(maxsize=None)
def body(size):
    """The same `size` bytes every time, without repetition."""
    return random.Random(size).randbytes(size)


class HttpHandler(http.server.BaseHTTPRequestHandler):
    """GET /SIZE: that many bytes; GET /browser/SIZE: a page that fetches them and posts them back.
    POST: the SHA-256 of what was sent, which is also remembered."""

    protocol_version = "HTTP/1.1"
    posted = []
    disable_nagle_algorithm = True

    def do_GET(self):
        digits = self.path.strip("/")
        if digits.isdigit():
            self.answer(body(int(digits)), "application/octet-stream")
        elif self.path.startswith("/browser/"):
            size = int(self.path.removeprefix("/browser/"))
            self.answer(b"<!doctype html><title>both ways</title><script type=module>"
                        b"const got = await (await fetch('/%d')).arrayBuffer();"
                        b"await fetch('/', {method: 'POST', body: got});</script>" % size, "text/html")
        else:
            self.answer(b"<!doctype html><html><body><p id=mark>immure-page</p></body></html>",
                        "text/html")

    def do_POST(self):
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left:
            data = self.rfile.read(min(left, 1 << 18))
            if not data:
                return
            digest.update(data)
            left -= len(data)
        self.posted.append(digest.hexdigest())
        self.answer(digest.hexdigest().encode(), "text/plain")

    def answer(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def http_server(connection):
    HttpHandler(connection, connection.getpeername(), None)


# The PROXY protocol on the backend's side (haproxy.org, proxy-protocol.txt).

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def receive_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError(f"the stream ended after {len(data)} of {size} bytes")
        data += more
    return data


def read_proxy_v1(connection):
    line = b""
    while not line.endswith(b"\r\n"):
        line += receive_exactly(connection, 1)
        if len(line) > 107:
            raise ValueError("a version 1 header has at most 107 bytes")
    return line.decode("ascii").split()


def read_tlvs(data):
    found = {}
    while data:
        kind, length = struct.unpack_from("!BH", data)
        found[kind] = data[3:3 + length]
        data = data[3 + length:]
    return found


def read_proxy_v2(connection):
    """{"command", "source", "destination", "tlvs", "tlv_bytes"}; addresses are (host, port)."""
    start = receive_exactly(connection, 16)
    if start[:12] != V2_SIGNATURE:
        raise ValueError(f"not a version 2 header: {start!r}")
    rest = receive_exactly(connection, struct.unpack("!H", start[14:])[0])
    header = {"command": start[12], "source": None, "destination": None}
    family = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}.get(start[13])
    used = 0
    if family:
        kind, size = family
        ports = struct.unpack_from("!HH", rest, 2 * size)
        header["source"] = (socket.inet_ntop(kind, rest[:size]), ports[0])
        header["destination"] = (socket.inet_ntop(kind, rest[size:2 * size]), ports[1])
        used = 2 * size + 4
    header["tlv_bytes"] = rest[used:]
    header["tlvs"] = read_tlvs(header["tlv_bytes"])
    return header

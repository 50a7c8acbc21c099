"""The PROXY protocol, to the backend and from a load balancer in front."""

import queue
import socket
import struct

import backends
import clients
import harness
from certificates import certificate

CLIENT = ("203.0.113.7", 51234)
SERVER = ("198.51.100.1", 443)
CLIENT6 = ("2001:db8::7", 51234)
SERVER6 = ("2001:db8::1", 443)

PP2_ALPN, PP2_AUTHORITY, PP2_SSL = 0x01, 0x02, 0x20
PP2_SSL_VERSION, PP2_SSL_CIPHER, PP2_SSL_KEY_ALG = 0x21, 0x23, 0x25
CLIENT_SSL = 0x01


def v2_header(command, source=None, destination=None, tlvs=b""):
    if source is None:
        family, body = 0x00, b""
    else:
        kind = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        family = 0x21 if ":" in source[0] else 0x11
        body = (socket.inet_pton(kind, source[0]) + socket.inet_pton(kind, destination[0]) +
                struct.pack("!HH", source[1], destination[1]))
    body += tlvs
    return backends.V2_SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


class ProxyProtocol(harness.SystemTest):
    def start(self, reader, version, frontend=""):
        """A backend that reads a header, keeps it in self.headers, and echoes the rest."""
        self.headers = queue.Queue()

        def handler(connection):
            self.headers.put(reader(connection))
            backends.echo(connection)

        backend = self.own(backends.Backend(handler))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, frontend=frontend,
                                      backend_options=f"proxy-protocol = {version}")

    def header(self, tls=None, before=b""):
        """What the backend was told about one good connection, and the client's own view of it."""
        with clients.connect(self.proxy.port, tls, before=before) as connection:
            clients.echo_once(connection, b"after the header")
            own = connection.getsockname(), connection.getpeername()
            self.cipher = connection.cipher()
            return self.headers.get(timeout=harness.LIMIT), own

    def test_v1_to_the_backend(self):
        self.start(backends.read_proxy_v1, "v1")
        words, ((host, port), (server, server_port)) = self.header()
        self.assertEqual(words, ["PROXY", "TCP4", host, server, str(port), str(server_port)])

    def test_v2_to_the_backend(self):
        self.start(backends.read_proxy_v2, "v2", 'alpn = { "h2", "http/1.1" }')
        for version, name in ((clients.TLS12, b"TLSv1.2"), (clients.TLS13, b"TLSv1.3")):
            with self.subTest(version=version):
                header, (source, destination) = self.header(clients.context(version, alpn=["http/1.1"]))
                self.assertEqual(header["command"], 0x21)
                self.assertEqual((header["source"], header["destination"]), (source, destination))
                tlvs = header["tlvs"]
                self.assertEqual(tlvs[PP2_ALPN], b"http/1.1")
                self.assertEqual(tlvs[PP2_AUTHORITY], b"localhost")
                flags, verify = struct.unpack_from("!BI", tlvs[PP2_SSL])
                self.assertEqual(flags, CLIENT_SSL)
                self.assertNotEqual(verify, 0, "no client certificate was verified")
                details = backends.read_tlvs(tlvs[PP2_SSL][5:])
                self.assertEqual(details[PP2_SSL_VERSION], name)
                self.assertEqual(details[PP2_SSL_CIPHER].decode(), self.cipher[0])
                self.assertEqual(details[PP2_SSL_KEY_ALG], b"EC256")

    def test_v2_without_alpn(self):
        self.start(backends.read_proxy_v2, "v2")
        header, _ = self.header()
        self.assertNotIn(PP2_ALPN, header["tlvs"])

    def test_accepted_and_passed_on(self):
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = any")
        v1 = f"PROXY TCP4 {CLIENT[0]} {SERVER[0]} {CLIENT[1]} {SERVER[1]}\r\n".encode()
        v1_6 = f"PROXY TCP6 {CLIENT6[0]} {SERVER6[0]} {CLIENT6[1]} {SERVER6[1]}\r\n".encode()
        unknown_tlv = b"\xe5\0\3abc"
        for before, source, destination in (
                (v1, CLIENT, SERVER), (v1_6, CLIENT6, SERVER6),
                (v2_header(1, CLIENT, SERVER, unknown_tlv), CLIENT, SERVER),
                (v2_header(1, CLIENT6, SERVER6), CLIENT6, SERVER6)):
            with self.subTest(before=before):
                header, _ = self.header(before=before)
                self.assertEqual((header["source"], header["destination"]), (source, destination))
        for before in (b"PROXY UNKNOWN\r\n", v2_header(0)):
            with self.subTest(before=before):
                header, (source, destination) = self.header(before=before)
                self.assertEqual((header["source"], header["destination"]), (source, destination))

    def test_a_header_in_pieces(self):
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = v2")
        data = v2_header(1, CLIENT, SERVER)
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                raw.sendall(bytes([byte]))
            with clients.context().wrap_socket(raw, server_hostname="localhost") as connection:
                clients.echo_once(connection)
                self.assertEqual(self.headers.get(timeout=harness.LIMIT)["source"], CLIENT)

    def test_refused(self):
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = v2")
        v1 = f"PROXY TCP4 {CLIENT[0]} {SERVER[0]} {CLIENT[1]} {SERVER[1]}\r\n".encode()
        for before in (v1, b"", backends.V2_SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
                       backends.V2_SIGNATURE + b"\x21\x11\xff\xff"):
            with self.subTest(before=before), self.assertRaises(OSError):
                self.header(before=before + clients.client_hello() * 130)
        self.header(before=v2_header(1, CLIENT, SERVER))
        self.assertTrue(self.headers.empty())

    def test_unexpected(self):
        """A header where none is accepted is not TLS."""
        self.start(backends.read_proxy_v1, "v1")
        with self.assertRaises(OSError):
            self.header(before=v2_header(1, CLIENT, SERVER))
        self.assertTrue(self.headers.empty())


if __name__ == "__main__":
    harness.main()

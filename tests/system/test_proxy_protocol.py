"""The PROXY protocol, to the backend and from a load balancer in front."""

import contextlib
import queue
import re
import socket
import struct
import time

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
HEADER_MAX = 16384


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    """Bit by bit, as RFC 4960, appendix B, says it."""
    register = 0xffffffff
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82f63b78 if register & 1 else 0)
    return struct.pack("!I", register ^ 0xffffffff)


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
    def start(self, reader, version, frontend="", backend=""):
        """A backend that reads a header, keeps it in self.headers, and echoes the rest."""
        self.headers = queue.Queue()

        def handler(connection):
            self.headers.put(reader(connection))
            backends.echo(connection)

        server = self.own(backends.Backend(handler))
        self.proxy = self.start_proxy([certificate("p-256")], server.address, frontend=frontend,
                                      backend_options=f"proxy-protocol = {version}\n{backend}")

    def header(self, tls=None, before=b""):
        """The header that the backend received for a successful connection, and the client's own
        view of it."""
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
        datagrams = [backends.V2_SIGNATURE + bytes((0x21, family, 0, len(body))) + body
                     for family, body in ((0x12, b"addresses of something else"), (0x22, b""), (0x32, b"x"))]
        for before in (b"PROXY UNKNOWN\r\n", v2_header(0), *datagrams):
            with self.subTest(before=before):
                header, (source, destination) = self.header(before=before)
                self.assertEqual((header["source"], header["destination"]), (source, destination))

    def test_tlvs_passed_on(self):
        """TLVs are passed on byte for byte and in order, after the proxy's own; but not those about
        another TLS connection, and not the old header's checksum."""
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = any", "proxy-tlvs = pass")
        first = tlv(0x05, b"unique") + tlv(0xea, b"\1vpce-1") + tlv(0xe0, b"")
        last = tlv(0x30, b"netns") + tlv(0xe1, b"again") + tlv(0xe1, b"and again")
        ours = (tlv(PP2_ALPN, b"spdy/1") + tlv(PP2_AUTHORITY, b"other.example") + tlv(0x04, b"....") +
                tlv(PP2_SSL, b"\7\0\0\0\0"))
        unsummed = v2_header(1, CLIENT, SERVER, first + ours + tlv(0x03, bytes(4)) + last)
        summed = v2_header(1, CLIENT, SERVER, first + ours + tlv(0x03, crc32c(unsummed)) + last)
        header, _ = self.header(before=summed)
        self.assertEqual((header["source"], header["destination"]), (CLIENT, SERVER))
        self.assertTrue(header["tlv_bytes"].endswith(first + last), header["tlv_bytes"])
        self.assertEqual(header["tlvs"][PP2_AUTHORITY], b"localhost")
        self.assertEqual(header["tlvs"][PP2_SSL][5:8], tlv(PP2_SSL_VERSION, b"TLSv1.3")[:3])
        for kind in (PP2_ALPN, 0x03, 0x04):
            self.assertNotIn(kind, header["tlvs"])
        for before in (v2_header(1, CLIENT, SERVER), v2_header(0, tlvs=first), v2_header(1, tlvs=first),
                       b"PROXY UNKNOWN\r\n"):
            header, _ = self.header(before=before)
            self.assertEqual(set(header["tlvs"]), {PP2_AUTHORITY, PP2_SSL})

    def test_the_longest_header(self):
        """In one piece and in several, with all that it carries."""
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = v2", "proxy-tlvs = pass")
        value = bytes(i % 251 for i in range(HEADER_MAX - len(v2_header(1, CLIENT, SERVER, tlv(0xe0, b"")))))
        longest = v2_header(1, CLIENT, SERVER, tlv(0xe0, value))
        self.assertEqual(len(longest), HEADER_MAX)
        header, _ = self.header(before=longest)
        self.assertEqual(header["tlvs"][0xe0], value)
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, HEADER_MAX, 997):
                raw.sendall(longest[start:start + 997])
            with clients.context().wrap_socket(raw, server_hostname="localhost") as connection:
                clients.echo_once(connection)
                self.assertEqual(self.headers.get(timeout=harness.LIMIT)["tlvs"][0xe0], value)
        with self.assertRaises(OSError):
            self.header(before=v2_header(1, CLIENT, SERVER, tlv(0xe0, value + b"x")))

    def test_tlvs_kept_back(self):
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = v2")
        header, _ = self.header(before=v2_header(1, CLIENT, SERVER, tlv(0xe0, b"x")))
        self.assertEqual(set(header["tlvs"]), {PP2_AUTHORITY, PP2_SSL})

    def test_a_wrong_checksum(self):
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = v2")
        with self.assertRaises(OSError):
            self.header(before=v2_header(1, CLIENT, SERVER, tlv(0x03, b"abcd")))
        self.assertTrue(self.headers.empty())

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

    def begin_with(self, first):
        """The port of a client that begins with this, and is refused."""
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as client:
            client.sendall(first)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(4096):
                    pass
            return client.getsockname()[1]

    def assert_logged(self, first, came, accepted):
        """Within some attempts there is a line about a client that begins with `first`."""
        line = rf'warning: frontend "https": 127\.0\.0\.1:(\d+) sent {came}; accept-proxy is {accepted}\n'

        def told():
            peers.add(self.begin_with(first))
            return re.search(line, self.proxy.log())
        peers = set()
        self.assertIn(int(harness.wait_until(told, f"a line about {came}").group(1)), peers)

    def test_disagreement_is_logged(self):
        """With the client's address and what it sent, so that somebody can mend it."""
        v1, v2 = b"PROXY TCP4 203.0.113.7 198.51.100.1 51234 443\r\n", v2_header(1, CLIENT, SERVER)
        hello = clients.client_hello()
        for accepted, cases in (
                ("none", ((v1 + hello, "a PROXY header of version 1"), (v2 + hello, "a PROXY header of version 2"))),
                ("v2", ((hello, "TLS without a PROXY header"), (v1 + hello, "a PROXY header of version 1"),
                        (b"GET / HTTP/1.1\r\n\r\n", "something that is no PROXY header"),
                        (v2[:12] + b"\x31" + v2[13:], "a malformed PROXY header")))):
            self.start(backends.read_proxy_v2, "v2", f"accept-proxy = {accepted}")
            for first, came in cases:
                with self.subTest(accepted=accepted, came=came):
                    self.assert_logged(first, came, accepted)

    def test_disagreement_floods_no_log(self):
        self.start(backends.read_proxy_v2, "v2", "accept-proxy = v2")
        began = time.monotonic()
        for _ in range(100):
            self.begin_with(clients.client_hello())
        seconds = int(time.monotonic() - began) + 1
        self.assertIn(self.proxy.log().count("TLS without a PROXY header"), range(1, 2 * seconds + 1))

    def test_unexpected(self):
        """A header where none is accepted is not TLS."""
        self.start(backends.read_proxy_v1, "v1")
        with self.assertRaises(OSError):
            self.header(before=v2_header(1, CLIENT, SERVER))
        self.assertTrue(self.headers.empty())


if __name__ == "__main__":
    harness.main()

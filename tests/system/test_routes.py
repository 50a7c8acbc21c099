"""Routes of a frontend: by name, ALPN and network, each with its own certificates, TLS policy and
backend; what nobody serves is refused; a stream is passed through by its server name."""

import itertools
import queue
import socket
import ssl

import backends
import clients
import harness
from certificates import certificate, der

PP2_AUTHORITY, PP2_SSL = 0x02, 0x20
BOTH = (clients.TLS12, clients.TLS13)


def section(of):
    return f'certificate {{ chain = "{of.chain}" key = "{of.key}" }}'


def backend_section(name, backend, options=""):
    return f'backend "{name}" {{ address = "{backend.address}" {options} }}\n'


def speaker(word):
    """A backend that says its name first."""
    def speak(connection):
        connection.sendall(word)
        backends.echo(connection)
    return speak


class Routes(harness.SystemTest):
    def start(self, frontend, routed=(), listen="127.0.0.1", top=""):
        """`routed`: names of further backends, each of which says its name first."""
        port, admin = harness.free_port(), harness.free_port()
        config = f'workers = 2\n{top}\nadmin {{ listen = "127.0.0.1:{admin}" }}\n'
        for name in ("app", *routed):
            config += backend_section(name, self.own(backends.Backend(speaker(name.encode()))))
        config += f'frontend "https" {{\n listen = "{listen}:{port}"\n{frontend}\n}}\n'
        self.proxy = self.start_proxy_with(config, port, admin)

    def visit(self, name, tls, session=None):
        """(what the backend says, the certificate, whether it was resumed, the session)"""
        with clients.connect(self.proxy.port, tls, name, session) as connection:
            said = connection.recv(64)
            clients.echo_once(connection)
            return (said, connection.getpeercert(binary_form=True), connection.session_reused,
                    connection.session)

    def served(self, name, version=None, alpn=None):
        return self.visit(name, clients.context(version, alpn=alpn))[:2]

    def refusal(self, name, version):
        with self.assertRaises(ssl.SSLError) as caught:
            self.served(name, version)
        return caught.exception.reason


class Names(Routes):
    def test_each_form(self):
        first = certificate("p-256", "localhost", "www.shared.example")
        api = certificate("p-256", "api.example", "*.api.example")
        exact = certificate("p-256", "x.api.example", serial=2)
        self.start(f"""
            backend = app
            {section(first)}
            route "api" {{ backend = api {section(api)} }}
            route "exact" {{ backend = exact {section(exact)} }}
            route "shared" {{ backend = shared names = {{ "*.shared.example", "bare.example" }} }}
            """, ("api", "exact", "shared"))
        for name, (said, served) in {
                "localhost": (b"app", first),
                "unknown.example": (b"app", first),
                None: (b"app", first),
                "api.example": (b"api", api),
                "API.Example": (b"api", api),
                "any.api.example": (b"api", api),
                "x.api.example": (b"exact", exact),
                "two.labels.api.example": (b"app", first),
                "www.shared.example": (b"shared", first),
                "any.shared.example": (b"shared", first),
                "bare.example": (b"shared", first),
        }.items():
            for version in BOTH:
                with self.subTest(name=name, version=version):
                    self.assertEqual(self.served(name, version), (said, der(served)))

    def test_a_given_name_replaces_those_of_the_certificate(self):
        first = certificate("p-256", "localhost")
        other = certificate("p-256", "said.example", "kept.example")
        self.start(f"""
            backend = app
            {section(first)}
            route "given" {{ backend = given names = kept.example {section(other)} }}
            """, ("given",))
        for version in BOTH:
            self.assertEqual(self.served("kept.example", version), (b"given", der(other)))
            self.assertEqual(self.served("said.example", version), (b"app", der(first)))

    def test_a_wildcard_of_a_route_has_the_certificates_of_its_names(self):
        first = certificate("p-256", "localhost")
        a, b = certificate("p-256", "a.wide.example"), certificate("p-256", "b.wide.example")
        self.start(f"""
            backend = app
            {section(first)}
            route "wide" {{ backend = wide names = "*.wide.example" {section(a)} {section(b)} }}
            """, ("wide",))
        for version in BOTH:
            self.assertEqual(self.served("a.wide.example", version), (b"wide", der(a)))
            self.assertEqual(self.served("b.wide.example", version), (b"wide", der(b)))
            self.assertEqual(self.served("c.wide.example", version), (b"wide", der(a)))

    def test_unknown_name_rejected(self):
        first = certificate("p-256", "localhost")
        self.start(f"""
            unknown-name = reject
            backend = app
            {section(first)}
            route "api" {{ names = api.example }}
            """)
        for version in BOTH:
            self.assertIn("UNRECOGNIZED_NAME", self.refusal("unknown.example", version))
            self.assertIn("UNRECOGNIZED_NAME", self.refusal("sub.api.example", version))
            for name in ("localhost", "api.example", None):
                self.assertEqual(self.served(name, version), (b"app", der(first)))

    def test_a_frontend_that_serves_nobody_itself(self):
        """Clients without a name are refused, too."""
        api = certificate("p-256", "api.example")
        self.start(f"""
            unknown-name = reject
            route "api" {{ backend = app names = api.example {section(api)} }}
            """)
        for version in BOTH:
            self.assertEqual(self.served("api.example", version), (b"app", der(api)))
            for name in ("unknown.example", None):
                self.assertIn("UNRECOGNIZED_NAME", self.refusal(name, version))

    def test_an_address_chooses_for_a_client_without_a_name(self):
        """Also if the listener has both families, so that the client's is mapped to IPv6."""
        first = certificate("rsa-2048", "localhost", address="192.0.2.1")
        route = certificate("p-256", "route.example", address="127.0.0.1")
        self.start(f"""
            backend = app
            {section(first)}
            route "address" {{ backend = address {section(route)} }}
            """, ("address",), listen="*")
        for version in BOTH:
            self.assertEqual(self.served(None, version), (b"address", der(route)))
            self.assertEqual(self.served("unknown.example", version), (b"app", der(first)))


class Conditions(Routes):
    def test_alpn_and_networks(self):
        first = certificate("p-256", "localhost", "a.example")
        self.start(f"""
            backend = app
            alpn = {{ "h2", "http/1.1" }}
            {section(first)}
            route "away" {{ backend = away names = a.example client-networks = "192.0.2.0/24" }}
            route "both" {{ backend = both names = a.example client-alpn = {{ "x", "h2" }}
                            client-networks = {{ "192.0.2.0/24", "127.0.0.0/8" }} }}
            route "near" {{ backend = near names = a.example client-networks = "127.0.0.1" }}
            route "alpn" {{ backend = alpn names = b.example client-alpn = "http/1.1" }}
            """, ("away", "both", "near", "alpn"))
        for version in BOTH:
            for name, alpn, said in (("a.example", ["h2"], b"both"),
                                     ("a.example", ["http/1.1", "h2"], b"both"),
                                     ("a.example", ["http/1.1"], b"near"),
                                     ("a.example", None, b"near"),
                                     ("b.example", ["http/1.1"], b"alpn"),
                                     ("b.example", ["h2"], b"app"),
                                     ("b.example", None, b"app")):
                with self.subTest(version=version, name=name, alpn=alpn):
                    self.assertEqual(self.served(name, version, alpn), (said, der(first)))

    def test_the_address_in_a_proxy_header_counts(self):
        first = certificate("p-256", "localhost")
        self.start(f"""
            backend = app accept-proxy = v1
            {section(first)}
            route "far" {{ backend = far names = localhost client-networks = "203.0.113.0/24" }}
            """, ("far",))
        for source, said in (("203.0.113.9", b"far"), ("198.51.100.9", b"app")):
            before = f"PROXY TCP4 {source} 127.0.0.1 1 2\r\n".encode()
            with clients.connect(self.proxy.port, clients.context(), before=before) as connection:
                self.assertEqual(connection.recv(64), said)


class Policies(Routes):
    """TLS settings are those of the route, whatever the frontend's are."""

    def start_all(self):
        self.first = certificate("p-256", "localhost")
        self.start(f"""
            backend = app tls-max = 1.2 alpn = h2
            {section(self.first)}
            route "new" {{ names = new.example tls-min = 1.3 tls-max = 1.3 }}
            route "all" {{ names = all.example tls-max = 1.3 alpn = {{ "x", "h2" }}
                           groups = "P-384" tickets = 0 }}
            route "cipher" {{ names = cipher.example ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" }}
            route "sha384" {{ names = sha384.example tls-max = 1.3
                              signature-algorithms = "ecdsa_secp384r1_sha384" }}
            """)

    def test_versions(self):
        self.start_all()
        good = {"localhost": [clients.TLS12], "new.example": [clients.TLS13], "all.example": BOTH,
                None: [clients.TLS12]}
        for name, versions in good.items():
            for version in BOTH:
                with self.subTest(name=name, version=version):
                    if version in versions:
                        self.assertEqual(self.served(name, version)[0], b"app")
                    else:
                        self.assertIn("PROTOCOL_VERSION", self.refusal(name, version))

    def test_the_rest(self):
        self.start_all()
        for name, options, expected in (
                ("all.example", ("-alpn", "x,h2"), "ALPN protocol: x\n"),
                ("localhost", ("-alpn", "x,h2"), "ALPN protocol: h2\n"),
                ("all.example", ("-groups", "X25519:P-384"), "P-384|secp384r1"),
                ("localhost", ("-groups", "X25519:P-256"), "X25519"),
                ("cipher.example", (), "ECDHE-ECDSA-AES256-GCM-SHA384"),
                ("localhost", (), "ECDHE-ECDSA-AES128-GCM-SHA256")):
            with self.subTest(name=name, options=options):
                output, good = clients.s_client(self.proxy.port, *options, name=name)
                self.assertTrue(good, output[-1500:])
                self.assertRegex(output, expected)
        # The key is of P-256, so that in TLS 1.3 nothing is left.
        output, good = clients.s_client(self.proxy.port, "-tls1_3", name="sha384.example")
        self.assertFalse(good, output[-1500:])
        self.assertIn("handshake failure", output)


def without_tickets():
    tls = clients.context(clients.TLS12)
    tls.options |= ssl.OP_NO_TICKET
    return tls


class Resumption(Routes):
    """A session is resumed in its own route, and in no other; nor where none is to be resumed."""

    def setUp(self):
        super().setUp()
        first = certificate("p-256", "localhost", "*.example")
        other = certificate("p-256", "own.example", "*.example", serial=2)
        self.start(f"""
            backend = app
            {section(first)}
            route "a" {{ names = a.example }}
            route "b" {{ names = b.example tls-max = 1.2 }}
            route "c" {{ names = c.example tls-min = 1.3 }}
            route "d" {{ names = d.example {section(other)} }}
            route "none" {{ names = none.example tickets = 0 }}
            route "far" {{ names = e.example client-alpn = far backend = app }}
            route "near" {{ names = e.example }}
            """)

    def contexts(self):
        return {"TLS 1.2, ticket": clients.context(clients.TLS12),
                "TLS 1.3, ticket": clients.context(clients.TLS13),
                "TLS 1.2, session id": without_tickets()}

    def takes(self, kind, name):
        return name != ("b.example" if "1.3" in kind else "c.example")

    def test_within_a_route(self):
        for kind, tls in self.contexts().items():
            for name in ("localhost", "a.example", "b.example", "c.example", "d.example", None):
                if self.takes(kind, name):
                    with self.subTest(kind=kind, name=name):
                        session = self.visit(name, tls)[3]
                        self.assertTrue(self.visit(name, tls, session)[2])

    def test_not_across_routes(self):
        names = ("localhost", "a.example", "b.example", "c.example", "d.example", None)
        for kind, tls in self.contexts().items():
            for made, other in itertools.permutations(names, 2):
                if self.takes(kind, made) and self.takes(kind, other):
                    with self.subTest(kind=kind, made=made, other=other):
                        session = self.visit(made, tls)[3]
                        self.assertFalse(self.visit(other, tls, session)[2])

    def test_not_across_the_conditions_of_one_name(self):
        for kind, tls in self.contexts().items():
            with self.subTest(kind=kind):
                tls.set_alpn_protocols(["far"])
                session = self.visit("e.example", tls)[3]
                self.assertTrue(self.visit("e.example", tls, session)[2])
                tls.set_alpn_protocols(["other"])
                self.assertFalse(self.visit("e.example", tls, session)[2])

    def test_where_none_is_resumed(self):
        for kind, tls in self.contexts().items():
            with self.subTest(kind=kind):
                session = self.visit("none.example", tls)[3]
                if session is not None:
                    self.assertFalse(self.visit("none.example", tls, session)[2])
                self.assertFalse(self.visit("none.example", tls, self.visit("localhost", tls)[3])[2])


class Passthrough(Routes):
    """The server behind has the certificate, and the proxy never sees a decrypted byte."""

    def setUp(self):
        super().setUp()
        self.inner = certificate("p-256", "pass.example", serial=9)
        self.first = certificate("p-256", "localhost")
        self.headers = queue.Queue()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.inner.chain, self.inner.key)

    def serve_tls(self, header):
        def handle(connection):
            if header:
                self.headers.put(backends.read_proxy_v2(connection))
            with self.tls.wrap_socket(connection, server_side=True) as secure:
                while data := secure.recv(65536):
                    secure.sendall(data)
        return handle

    def start_passing(self, header="none", frontend=""):
        behind = self.own(backends.Backend(self.serve_tls(header == "v2")))
        app = self.own(backends.Backend(backends.echo))
        port, admin = harness.free_port(), harness.free_port()
        config = f'workers = 2\nadmin {{ listen = "127.0.0.1:{admin}" }}\n'
        config += backend_section("app", app)
        config += backend_section("behind", behind, f"proxy-protocol = {header}")
        config += f"""frontend "https" {{ listen = "127.0.0.1:{port}" backend = app {frontend}
            {section(self.first)}
            route "pass" {{ names = pass.example backend = behind passthrough = yes }} }}"""
        self.proxy = self.start_proxy_with(config, port, admin)

    def exchange(self, name, version=None, size=300000):
        data = backends.body(size)
        with clients.connect(self.proxy.port, clients.context(version), name) as connection:
            clients.echo_once(connection, data[:1000])
            clients.echo_once(connection, data)
            return connection.getpeercert(binary_form=True)

    def test_both_sides_in_both_versions(self):
        self.start_passing()
        for version in BOTH:
            self.assertEqual(self.exchange("pass.example", version), der(self.inner))
            self.assertEqual(self.exchange("localhost", version), der(self.first))
        self.proxy.wait_for(2, "immure_handshakes_total", result="passed")

    def test_the_header_comes_first(self):
        """With the name, and with nothing about TLS, of which the proxy knows nothing."""
        self.start_passing("v2")
        self.assertEqual(self.exchange("pass.example"), der(self.inner))
        header = self.headers.get(timeout=harness.LIMIT)
        self.assertEqual(header["tlvs"].get(PP2_AUTHORITY), b"pass.example")
        self.assertNotIn(PP2_SSL, header["tlvs"])
        self.assertEqual(header["source"][0], "127.0.0.1")

    def test_a_client_hello_in_pieces(self):
        self.start_passing()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = clients.context().wrap_bio(incoming, outgoing, server_hostname="pass.example")
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        connection.sendall(bytes([byte]))
                    incoming.write(connection.recv(65536))
            self.assertEqual(client.getpeercert(binary_form=True), der(self.inner))

    def test_the_end_of_each_direction_is_passed_on(self):
        raw = self.own(backends.Backend(backends.echo))
        port, admin = harness.free_port(), harness.free_port()
        config = f"""workers = 1 admin {{ listen = "127.0.0.1:{admin}" }}
            {backend_section("raw", raw)}
            frontend "f" {{ listen = "127.0.0.1:{port}" backend = raw {section(self.first)}
            route "raw" {{ names = any.example passthrough = yes }} }}"""
        self.proxy = self.start_proxy_with(config, port, admin)
        hello = clients.client_hello(name="any.example")
        rest = backends.body(200000)
        with socket.create_connection(("127.0.0.1", port), harness.LIMIT) as connection:
            connection.sendall(hello)
            self.assertEqual(clients.receive_exactly(connection, len(hello)), hello)
            connection.sendall(rest)
            self.assertEqual(clients.receive_exactly(connection, len(rest)), rest)
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.recv(1), b"")
        self.proxy.wait_for(1, "immure_connection_ends_total", how="clean")

    def test_nothing_is_decrypted(self):
        """Without any certificate there is no immured, and nobody asks for one."""
        raw = self.own(backends.Backend(backends.echo))
        port, admin = harness.free_port(), harness.free_port()
        config = f"""workers = 1 admin {{ listen = "127.0.0.1:{admin}" }}
            {backend_section("raw", raw)}
            frontend "f" {{ listen = "127.0.0.1:{port}" backend = raw passthrough = yes }}"""
        self.proxy = self.start_proxy_with(config, port, admin)
        hello = clients.client_hello(name="any.example")
        with socket.create_connection(("127.0.0.1", port), harness.LIMIT) as connection:
            connection.sendall(hello)
            self.assertEqual(clients.receive_exactly(connection, len(hello)), hello)
        self.proxy.wait_for(1, "immure_handshakes_total", version="none", result="passed")
        self.assertEqual(self.proxy.immured(), 0)
        self.assertNotIn("immured", self.proxy.log())

    def test_too_much_before_it_is_decided(self):
        """A ClientHello in records of one byte each is more than the proxy keeps."""
        self.start_passing()
        hello = clients.client_hello(name="pass.example")
        body = hello[5:] + bytes(16000)
        message = b"\x01" + (len(body) - 4).to_bytes(3, "big") + body[4:]
        pieces = b"".join(hello[:3] + b"\0\1" + bytes([byte]) for byte in message)
        with socket.create_connection(("127.0.0.1", self.proxy.port), harness.LIMIT) as connection:
            try:
                connection.sendall(pieces)
                while connection.recv(65536):
                    pass
            except OSError:
                pass
        self.assertEqual(self.exchange("pass.example"), der(self.inner))


if __name__ == "__main__":
    harness.main()

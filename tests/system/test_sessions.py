"""Where a session can be resumed: its scope is the frontend, the certificates and the name. With
tickets, or with session ids for TLS 1.2 clients without tickets."""

import queue
import ssl

import backends
import clients
import harness
from certificates import certificate

PP2_AUTHORITY = 0x02


class Sessions(harness.SystemTest):
    def start(self, certificates, **options):
        self.headers = queue.Queue()

        def handler(connection):
            self.headers.put(backends.read_proxy_v2(connection))
            backends.echo(connection)

        backend = self.own(backends.Backend(handler))
        self.proxy = self.start_proxy(certificates, backend.address,
                                      backend_options="proxy-protocol = v2", **options)

    def visit(self, tls, name, session=None):
        """(was it resumed, the session to resume next); the backend heard of this very name."""
        with clients.connect(self.proxy.port, tls, name, session) as connection:
            clients.echo_once(connection)
            heard = self.headers.get(timeout=harness.LIMIT)["tlvs"].get(PP2_AUTHORITY)
            self.assertEqual(heard, name.lower().encode() if name else None)
            return connection.session_reused, connection.session


def without_tickets():
    tls = clients.context(clients.TLS12)
    tls.options |= ssl.OP_NO_TICKET
    return tls


def kinds_of_clients():
    yield "TLS 1.2, ticket", clients.context(clients.TLS12)
    yield "TLS 1.3, ticket", clients.context(clients.TLS13)
    yield "TLS 1.2, session id", without_tickets()


class Scope(Sessions):
    """Each client resumes at the name where it made the session, and nowhere else."""

    def setUp(self):
        super().setUp()
        self.start([certificate("p-256", "a.example"), certificate("p-256", "b.example"),
                    certificate("p-256", "one.example", "two.example"),
                    certificate("p-256", "*.wild.example")])

    def test_resumed_at_its_own_name(self):
        for kind, tls in kinds_of_clients():
            for name in ("a.example", "A.Example", "x.wild.example", "unknown.example", None):
                with self.subTest(client=kind, name=name):
                    _, session = self.visit(tls, name)
                    self.assertTrue(self.visit(tls, name, session)[0])

    def test_not_resumed_at_another_name(self):
        names = ("a.example", "b.example", "one.example", "two.example", "x.wild.example",
                 "y.wild.example", "unknown.example", None)
        for kind, tls in kinds_of_clients():
            for made in names:
                _, session = self.visit(tls, made)
                for other in names:
                    if other != made:
                        with self.subTest(client=kind, made=made, other=other):
                            self.assertFalse(self.visit(tls, other, session)[0])


class Frontends(Sessions):
    def test_not_resumed_at_another_frontend(self):
        made = certificate("p-256")
        port, other, admin = harness.free_port(), harness.free_port(), harness.free_port()
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy_with(f'''
            frontend "one" {{ listen = {{ "127.0.0.1:{port}" }} backend = "app"
                certificate {{ chain = "{made.chain}" key = "{made.key}" }} }}
            frontend "two" {{ listen = {{ "127.0.0.1:{other}" }} backend = "app"
                certificate {{ chain = "{made.chain}" key = "{made.key}" }} }}
            backend "app" {{ address = "{backend.address}" }}
            admin {{ listen = "127.0.0.1:{admin}" }}
            keys {{ threads = 1 }}''', port, admin)
        for kind, tls in kinds_of_clients():
            with self.subTest(client=kind):
                reused = []
                session = None
                for to in (port, port, other):
                    with clients.connect(to, tls, session=session) as connection:
                        clients.echo_once(connection)
                        reused.append(connection.session_reused)
                        session = session or connection.session
                self.assertEqual(reused, [False, True, False])


class SessionIds(Sessions):
    def test_every_thread_resumes(self):
        self.start([certificate("rsa-2048")], workers=4)
        tls = without_tickets()
        _, session = self.visit(tls, "localhost")
        for _ in range(24):  # SO_REUSEPORT spreads them over the threads
            self.assertTrue(self.visit(tls, "localhost", session)[0])

    def test_switched_off(self):
        for options in ({"top": "session-cache = 0"}, {"frontend": "tickets = 0"}):
            with self.subTest(**options):
                self.start([certificate("p-256")], **options)
                tls = without_tickets()
                _, session = self.visit(tls, "localhost")
                self.assertFalse(self.visit(tls, "localhost", session)[0])

    def test_many_sessions_make_the_oldest_go(self):
        self.start([certificate("p-256")], top="session-cache = 8")
        tls = without_tickets()
        _, first = self.visit(tls, "localhost")
        for _ in range(16):
            _, last = self.visit(tls, "localhost")
        self.assertFalse(self.visit(tls, "localhost", first)[0])
        self.assertTrue(self.visit(tls, "localhost", last)[0])


class Renewal(Sessions):
    def test_each_resumption_of_tls13_brings_a_ticket(self):
        """A client that uses each ticket once never needs a full handshake again."""
        self.start([certificate("p-256")])
        tls = clients.context(clients.TLS13)
        _, session = self.visit(tls, "localhost")
        for _ in range(8):
            reused, following = self.visit(tls, "localhost", session)
            self.assertTrue(reused)
            self.assertNotEqual(following.id, session.id)  # a digest of the ticket
            session = following
        self.proxy.wait_for(1, "immure_handshakes_total", result="full")


if __name__ == "__main__":
    harness.main()

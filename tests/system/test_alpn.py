"""ALPN (RFC 7301): the server's order decides; nothing in common ends the handshake."""

import ssl

import backends
import clients
import harness
from certificates import certificate


class Alpn(harness.SystemTest):
    def start(self, frontend):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, frontend=frontend)

    def chosen(self, version, *offered):
        tls = clients.context(version, alpn=list(offered))
        with clients.connect(self.proxy.port, tls) as connection:
            clients.echo_once(connection)
            return connection.selected_alpn_protocol()

    def test_choice(self):
        self.start('alpn = { "h2", "http/1.1" }')
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                self.assertEqual(self.chosen(version, "http/1.1", "h2"), "h2")
                self.assertEqual(self.chosen(version, "http/1.1"), "http/1.1")
                self.assertEqual(self.chosen(version, "spdy/3", "http/1.1"), "http/1.1")
                self.assertIsNone(self.chosen(version))

    def test_nothing_in_common(self):
        self.start('alpn = { "h2" }')
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
                    self.chosen(version, "http/1.1")
                self.assertEqual(self.chosen(version, "h2"), "h2")

    def test_without_alpn_what_is_offered_is_ignored(self):
        self.start("")
        self.assertIsNone(self.chosen(clients.TLS13, "h2"))


if __name__ == "__main__":
    harness.main()

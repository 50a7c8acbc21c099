"""The certificate is chosen by server name, and by what the client can verify."""


import backends
import clients
import harness
from certificates import certificate, der


class ServerName(harness.SystemTest):
    @classmethod
    def setUpClass(cls):
        cls.first = certificate("p-256", "localhost")
        cls.rsa = certificate("rsa-2048", "both.example")
        cls.ecdsa = certificate("p-256", "both.example")
        cls.wildcard = certificate("p-256", "*.wild.example")
        cls.exact = certificate("p-256", "exact.wild.example")
        cls.rsa_only = certificate("rsa-2048", "rsa.wild.example")

    def setUp(self):
        super().setUp()
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy(
            [self.first, self.rsa, self.ecdsa, self.wildcard, self.exact, self.rsa_only],
            backend.address)

    def served(self, name, version=None, ciphers=None):
        tls = clients.context(version)
        if ciphers:
            tls.set_ciphers(ciphers)
        with clients.connect(self.proxy.port, tls, name) as connection:
            clients.echo_once(connection)
            return connection.getpeercert(binary_form=True)

    def test_names(self):
        for name, expected in {
                "localhost": self.first,
                "exact.wild.example": self.exact,
                "EXACT.Wild.Example": self.exact,
                "any.wild.example": self.wildcard,
                "ANY.WILD.EXAMPLE": self.wildcard,
                "two.labels.wild.example": self.first,
                "wild.example": self.first,
                "unknown.example": self.first,
                None: self.first,
        }.items():
            for version in (clients.TLS12, clients.TLS13):
                with self.subTest(name=name, version=version):
                    self.assertEqual(self.served(name, version), der(expected))

    def test_rsa_and_ecdsa_side_by_side(self):
        self.assertEqual(self.served("both.example", clients.TLS12, "ECDHE-RSA-AES128-GCM-SHA256"),
                         der(self.rsa))
        self.assertEqual(self.served("both.example", clients.TLS12, "ECDHE-ECDSA-AES128-GCM-SHA256"),
                         der(self.ecdsa))
        for algorithm, kind in {"rsa_pss_rsae_sha256": "RSA", "ecdsa_secp256r1_sha256": "ECDSA"}.items():
            for version in ("-tls1_2", "-tls1_3"):
                with self.subTest(algorithm=algorithm, version=version):
                    output, good = clients.s_client(self.proxy.port, version, "-sigalgs", algorithm,
                                                    name="both.example")
                    self.assertTrue(good, output[-1500:])
                    # OpenSSL 3.5 names the scheme, 3.0 its kind of key.
                    self.assertRegex(output, rf"Peer signature type: ({algorithm}|{kind}(-PSS)?)\n")

    def test_a_wildcard_fills_in(self):
        """For a type of key that the exact name has no certificate of."""
        for cipher, expected in (("ECDHE-RSA-AES128-GCM-SHA256", self.rsa_only),
                                 ("ECDHE-ECDSA-AES128-GCM-SHA256", self.wildcard)):
            with self.subTest(cipher=cipher):
                self.assertEqual(self.served("rsa.wild.example", clients.TLS12, cipher), der(expected))

    def test_nothing_in_common_is_an_alert(self):
        output, good = clients.s_client(self.proxy.port, "-tls1_3", "-sigalgs", "ed25519")
        self.assertFalse(good)
        self.assertIn("handshake failure", output)
        self.assertEqual(self.served("localhost"), der(self.first))


if __name__ == "__main__":
    harness.main()

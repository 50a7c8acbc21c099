"""tls-min, tls-max, ciphers, ciphersuites and groups bind, on both sides of each."""

import os
import re
import ssl
import unittest.mock

import backends
import clients
import harness
from certificates import certificate
from immured import openssl


def hellos(output):
    """How many ClientHellos s_client has sent by what it says with -msg: two after a HelloRetryRequest."""
    return len(re.findall("(?m)^>>> .*, ClientHello$", output))


class TlsSettings(harness.SystemTest):
    def start(self, frontend, top=""):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, frontend=frontend, top=top)

    def served(self, version):
        with clients.connect(self.proxy.port, clients.context(version)) as connection:
            clients.echo_once(connection)
            return connection.cipher()

    def refused(self, version):
        with self.assertRaisesRegex(ssl.SSLError, "(?i)protocol.version"):
            self.served(version)

    def test_min(self):
        self.start("tls-min = 1.3")
        self.refused(clients.TLS12)
        self.assertEqual(self.served(clients.TLS13)[1], "TLSv1.3")

    def test_max(self):
        self.start("tls-max = 1.2")
        self.refused(clients.TLS13)
        self.assertEqual(self.served(clients.TLS12)[1], "TLSv1.2")
        self.assertRegex(self.proxy.log(), r"frontend 'https' has no TLS 1.3: its key \S+ has policy tls12-server")
        self.assertIn("signs for a server without TLS 1.3 (policy = tls12-server)", self.proxy.log())

    def test_no_others(self):
        """What openssl.cnf says of every SSL_CTX of the machine is not for this program, where a directive
        says the same and where none does."""
        policy = os.path.join(self.directory, "policy.cnf")
        with open(policy, "w", encoding="utf-8") as file:
            file.write("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = policy\n[policy]\n"
                       "MinProtocol = TLSv1.3\nCipherString = DEFAULT@SECLEVEL=5\nGroups = P-521\n"
                       "SignatureAlgorithms = ECDSA+SHA512\n")
        with unittest.mock.patch.dict(os.environ, {"OPENSSL_CONF": policy}):
            self.start("")
        for version in (clients.TLS12, clients.TLS13):
            self.served(version)

    def test_older_versions(self):
        self.start("")
        output, good = clients.s_client(self.proxy.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertFalse(good)
        self.assertIn("alert protocol version", output)

    def test_ciphers(self):
        self.start('ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305"\n'
                   'ciphersuites = "TLS_AES_128_GCM_SHA256"')
        self.assertEqual(self.served(clients.TLS12)[0], "ECDHE-ECDSA-CHACHA20-POLY1305")
        self.assertEqual(self.served(clients.TLS13)[0], "TLS_AES_128_GCM_SHA256")

    def test_groups(self):
        self.start('groups = "P-384"')
        for version in ("-tls1_2", "-tls1_3"):
            output, good = clients.s_client(self.proxy.port, version)
            self.assertTrue(good, output[-1000:])
            self.assertRegex(output, "(Temp Key|TLS1.3 group): .*(P-384|secp384r1)")
            output, good = clients.s_client(self.proxy.port, version, "-groups", "X25519")
            self.assertFalse(good)

    def test_default_groups(self):
        """None of finite fields, and neither X448 nor P-521: they cost an event loop too much."""
        self.start("")
        for group in ("ffdhe2048", "ffdhe8192", "X448", "P-521"):
            output, good = clients.s_client(self.proxy.port, "-tls1_3", "-groups", group)
            self.assertFalse(good, output[-1000:])
        for group in ("X25519", "P-256", "P-384"):
            output, good = clients.s_client(self.proxy.port, "-tls1_3", "-msg", "-groups", group)
            self.assertTrue(good, output[-1000:])
            self.assertEqual(hellos(output), 1)

    def test_default_groups_of_both_sides(self):
        """The hybrid is preferred where both have it, also to a share of another that was sent."""
        hybrid = "X25519MLKEM768"
        has_hybrid = hybrid.encode() in openssl("list", "-kem-algorithms").stdout
        for fast in ("auto", "off"):
            self.start("", f"fast-handshake = {fast}")
            output, good = clients.s_client(self.proxy.port, "-tls1_3", "-msg")
            self.assertTrue(good, output[-1000:])
            self.assertRegex(output, f"TLS1.3 group: {hybrid}\n" if has_hybrid else "Temp Key: X25519,")
            self.assertEqual(hellos(output), 1)
            if has_hybrid:
                output, good = clients.s_client(self.proxy.port, "-tls1_3", "-msg", "-groups", f"X25519:{hybrid}")
                self.assertTrue(good, output[-1000:])
                self.assertIn(f"TLS1.3 group: {hybrid}\n", output)
                self.assertEqual(hellos(output), 2)

    def test_a_dear_group_is_warned_of(self):
        self.start('groups = "ffdhe4096:X25519"')
        output, good = clients.s_client(self.proxy.port, "-tls1_3", "-groups", "ffdhe4096")
        self.assertTrue(good, output[-1000:])
        self.assertRegex(self.proxy.log(), r"groups: a handshake with ffdhe4096 takes [0-9.]+ ms of an event loop")
        self.assertEqual(self.proxy.log().count("groups: a handshake with"), 1)

    def test_ciphers_without_ecdhe_are_left_out(self):
        self.start('ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256"')
        self.assertEqual(self.served(clients.TLS12)[0], "ECDHE-ECDSA-AES128-GCM-SHA256")
        self.assertIn("ciphers: left out, since the key exchange is not ECDHE: AES128-GCM-SHA256, "
                      "DHE-RSA-AES128-GCM-SHA256", self.proxy.log())


class RsaPss(harness.SystemTest):
    def test_a_certificate_on_a_key_of_type_rsa_pss(self):
        backend = self.own(backends.Backend(backends.echo))
        for signing in ("async", "in-process"):
            with self.subTest(signing=signing):
                proxy = self.start_proxy([certificate("rsa-pss")], backend.address, signing=signing)
                output, good = clients.s_client(proxy.port, "-tls1_3")
                self.assertTrue(good, output[-1000:])
                self.assertRegex(output, "Peer signature type: (RSA-PSS|rsa_pss_pss_sha256)")
                self.assertEqual(proxy.status()["certificates"][0]["key_type"], "RSA-PSS-2048")


if __name__ == "__main__":
    harness.main()

"""Every SignatureScheme that a key can sign under, in TLS 1.2 and 1.3, in every signing mode."""

import backends
import clients
import harness
from certificates import certificate

# key: schemes of TLS 1.3, schemes of TLS 1.2 besides (RFC 8446, section 4.2.3: there an ECDSA
# scheme names its curve; in TLS 1.2 it names the hash only)
RSA = (["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"],
       ["rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512"])
SCHEMES = {
    "rsa-2048": RSA,
    "rsa-3072": RSA,
    "rsa-4096": RSA,
    "p-256": (["ecdsa_secp256r1_sha256"], ["ECDSA+SHA384", "ECDSA+SHA512"]),
    "p-384": (["ecdsa_secp384r1_sha384"], ["ECDSA+SHA256", "ECDSA+SHA512"]),
    "p-521": (["ecdsa_secp521r1_sha512"], ["ECDSA+SHA256", "ECDSA+SHA384"]),
    "ed25519": (["ed25519"], []),
}


class SignatureAlgorithms(harness.SystemTest):
    def handshake(self, kind, version, scheme):
        with self.subTest(kind=kind, version=version, scheme=scheme):
            # The certificate's own signature needs an algorithm too; the first one is preferred.
            output, good = clients.s_client(self.proxy.port, version, "-sigalgs", scheme,
                                            "-verify_return_error", "-CAfile", certificate(kind).chain)
            self.assertTrue(good, output[-1500:])
            self.assertIn("Verify return code: 0", output)

    def serve(self, signing):
        backend = self.own(backends.Backend(backends.echo))
        for kind, (always, tls12) in SCHEMES.items():
            self.proxy = self.start_proxy([certificate(kind)], backend.address, signing=signing,
                                          workers=1)
            for scheme in always:
                self.handshake(kind, "-tls1_3", scheme)
            for scheme in always + tls12:
                self.handshake(kind, "-tls1_2", scheme)
            self.proxy.wait_for(2 * len(always) + len(tls12), "immure_handshakes_total", result="full")
            self.programs.remove(self.proxy)
            self.assertEqual(self.proxy.stop(), [])

    def test_async(self):
        self.serve("async")

    def test_sync(self):
        self.serve("sync")

    def test_in_process(self):
        self.serve("in-process")


if __name__ == "__main__":
    harness.main()

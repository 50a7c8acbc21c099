"""One name with a certificate of each kind, from a folder: the client's signature algorithms decide."""

import os
import shutil
import subprocess

import backends
import clients
import harness
from certificates import certificate, der

SCHEMES = {  # of TLS 1.3, one for each kind of certificate
    "rsa-2048": "rsa_pss_rsae_sha256",
    "rsa-pss": "rsa_pss_pss_sha256",
    "p-256": "ecdsa_secp256r1_sha256",
    "ed25519": "ed25519",
    "ml-dsa-65": "mldsa65",
}


def kinds():
    algorithms = subprocess.run(["openssl", "list", "-public-key-algorithms"], capture_output=True, text=True,
                                check=True).stdout
    return [kind for kind in SCHEMES if kind != "ml-dsa-65" or "ML-DSA-65" in algorithms]


class CertificateKinds(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.folder = os.path.join(self.directory, "certs")
        os.mkdir(self.folder)

    def put(self, kind):
        made = certificate(kind)
        shutil.copy(made.chain, os.path.join(self.folder, kind + ".crt"))
        shutil.copy(made.key, os.path.join(self.folder, kind + ".key"))

    def start(self):
        self.proxy = self.start_proxy([], self.backend.address, frontend=f'certificates = "{self.folder}"')

    def served(self, *options):
        """The DER of the certificate that a client with these options gets; None: the handshake fails."""
        output, good = clients.s_client(self.proxy.port, *options)
        begin = output.find("-----BEGIN CERTIFICATE-----")
        return clients.ssl.PEM_cert_to_DER_cert(output[begin:output.index("-----END", begin)] +
                                                "-----END CERTIFICATE-----") if good else None

    def test_each_client_gets_the_kind_that_it_can_verify(self):
        there = kinds()
        for kind in there:
            self.put(kind)
        self.start()
        for kind in there:
            with self.subTest(kind=kind):
                self.assertEqual(self.served("-tls1_3", "-sigalgs", SCHEMES[kind]), der(certificate(kind)))

    def test_a_kind_that_is_not_there(self):
        self.put("p-256")
        self.start()
        self.assertEqual(self.served("-tls1_3", "-sigalgs", SCHEMES["p-256"]), der(certificate("p-256")))
        self.assertIsNone(self.served("-tls1_3", "-sigalgs", SCHEMES["rsa-2048"]))


if __name__ == "__main__":
    harness.main()

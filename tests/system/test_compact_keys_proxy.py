"""Certificates from a directory, whose keys immure-proxy hands over to its own immured in compact form."""

import os
import shutil
import signal

import backends
import clients
import harness
import proc
from certificates import certificate

KINDS = ["rsa-2048", "p-256", "ed25519"]
SCHEMES = {"rsa-2048": "rsa_pss_rsae_sha256", "p-256": "ecdsa_secp256r1_sha256", "ed25519": "ed25519"}


class CompactKeysOfProxy(harness.SystemTest):
    def start(self, *keyless):
        self.make_folder(*keyless)
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address,
                                      frontend=f'certificates = "{self.folder}"')

    def make_folder(self, *keyless):
        folder = self.folder = os.path.join(self.directory, "certificates")
        os.mkdir(folder, 0o755)
        for kind in KINDS:
            made = certificate(kind, serial=3)
            shutil.copy(made.chain, os.path.join(folder, f"{kind}.crt"))
            if kind not in keyless:
                shutil.copy(made.key, os.path.join(folder, f"{kind}.key"))

    def assert_each_kind(self):
        for kind in KINDS:
            output, good = clients.s_client(self.proxy.port, "-sigalgs", SCHEMES[kind])
            self.assertTrue(good, output[-1500:])

    def test_from_a_directory(self):
        self.start()
        self.assertIn(f"ready: {1 + len(KINDS)} keys", self.proxy.log())
        self.assert_each_kind()
        for name in os.listdir(self.folder):
            if name.endswith(".key"):
                os.unlink(os.path.join(self.folder, name))
        before = self.proxy.immured()
        os.kill(before, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.immured() not in (0, before) and
                           self.proxy.log().count("ready: ") == 2, "another immured")
        self.assertTrue(proc.alive(self.proxy.pid))
        self.assert_each_kind()

    def test_without_a_key(self):
        """It is not served. Those of other kinds are, and the start is not refused."""
        self.start("ed25519", "rsa-2048")
        for kind in ("ed25519", "rsa-2048"):
            self.assertRegex(self.proxy.log(), f"immured holds no private key for {self.folder}/{kind}.crt "
                                               r"\(key id [0-9a-f]{64}\): its names are not served")
        for algorithms, served in (("ed25519:ecdsa_secp256r1_sha256", True), ("ed25519", False)):
            output, good = clients.s_client(self.proxy.port, "-sigalgs", algorithms)
            self.assertEqual(good, served, output[-1500:])
        self.assertIn("alert handshake failure", output)
        shutil.copy(certificate("rsa-2048", serial=3).key, os.path.join(self.folder, "rsa-2048.key"))
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") == 2, "the reload")
        output, good = clients.s_client(self.proxy.port, "-sigalgs", SCHEMES["rsa-2048"])
        self.assertTrue(good, output[-1500:])

    def test_routes_without_tls13(self):
        """immured signs for them too: for one that serves with the frontend's certificates, and for
        one that has the same keys as another."""
        self.make_folder()
        backend = self.own(backends.Backend(backends.echo))
        port, admin = harness.free_port(), harness.free_port()
        for tls12_only in ("", f'certificates = "{self.folder}"'):
            proxy = self.start_proxy_with(
                f'frontend "web" {{ listen = {{"127.0.0.1:{port}"}} backend = "echo" certificates = "{self.folder}"\n'
                f'route "old" {{ names = {{"old.example"}} tls-max = 1.2 {tls12_only} }} }}\n'
                f'backend "echo" {{ address = "{backend.address}" }}\n'
                f'admin {{ listen = "127.0.0.1:{admin}" }}\n', port, admin)
            self.assertIn("route 'old' has no TLS 1.3: the keys of its folder or list have policy tls12-server",
                          proxy.log())
            for name, option in (("old.example", "-tls1_2"), ("localhost", "-tls1_3"), ("localhost", "-tls1_2")):
                output, good = clients.s_client(port, "-servername", name, option)
                self.assertTrue(good, output[-1500:])
            proxy.stop()


if __name__ == "__main__":
    harness.main()

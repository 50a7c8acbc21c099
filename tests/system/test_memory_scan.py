"""
No part of a private key is in the memory of the master or the worker. In the `in-process` mode the
same search finds the keys in the worker, which shows that it can.
"""

import backends
import clients
import harness
import keyparts
from certificates import certificate

KINDS = ["rsa-2048", "p-256", "ed25519"]
SCHEMES = {"rsa-2048": "rsa_pss_rsae_sha256", "p-256": "ecdsa_secp256r1_sha256", "ed25519": "ed25519"}


@harness.needs_root("to read the memory of the programs")
@harness.not_sanitized("the sanitizer's own memory is terabytes of address space")
class MemoryScan(harness.SystemTest):
    def serve(self, signing):
        """Serves with every key; returns what is found: (master, worker), {kind: names}."""
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate(kind) for kind in KINDS], backend.address, signing=signing)
        for kind in KINDS:
            for version in ("-tls1_2", "-tls1_3"):
                for _ in range(3):
                    output, good = clients.s_client(proxy.port, version, "-sigalgs", SCHEMES[kind])
                    self.assertTrue(good, output[-1500:])
        self.assertEqual(proxy.metric("immure_handshakes_total", result="full"), 6 * len(KINDS))
        self.proxy = proxy
        return [{kind: keyparts.search(pid, keyparts.needles(certificate(kind).key)) for kind in KINDS}
                for pid in (proxy.pid, proxy.worker())]

    def test_the_numbers_are_all_there(self):
        numbers = keyparts.private_numbers(certificate("rsa-2048").key)
        self.assertEqual(sorted(numbers), ["coefficient", "exponent1", "exponent2", "prime1", "prime2",
                                           "privateExponent"])
        for kind in ("p-256", "ed25519"):
            self.assertEqual(list(keyparts.private_numbers(certificate(kind).key)), ["priv"])

    def test_async(self):
        nothing = {kind: set() for kind in KINDS}
        self.assertEqual(self.serve("async"), [nothing, nothing])

    def test_sync(self):
        nothing = {kind: set() for kind in KINDS}
        self.assertEqual(self.serve("sync"), [nothing, nothing])

    def test_the_search_finds_keys_in_process(self):
        master, worker = self.serve("in-process")
        self.assertEqual(master, {kind: set() for kind in KINDS})
        for kind in KINDS:
            for number in keyparts.private_numbers(certificate(kind).key):
                self.assertTrue([name for name in worker[kind] if name.startswith(number + ",")],
                                f"{kind}: {number} not found, but the worker signs with it")


if __name__ == "__main__":
    harness.main()

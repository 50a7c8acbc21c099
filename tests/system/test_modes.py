"""The three signing modes serve alike, and say what they are."""

import backends
import clients
import harness
import proc
from certificates import certificate


class Modes(harness.SystemTest):
    def serve(self, signing):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("rsa-2048"), certificate("p-256")],
                                      backend.address, signing=signing)
        for version in (clients.TLS12, clients.TLS13):
            with clients.connect(self.proxy.port, clients.context(version, certificate("p-256"))) as one:
                self.assertLess(clients.echo_once(one), harness.LIMIT)
        for option in ("-tls1_2", "-tls1_3"):
            output, good = clients.s_client(self.proxy.port, option, "-sigalgs", "rsa_pss_rsae_sha256")
            self.assertTrue(good, output[-1500:])
        self.assertEqual(self.proxy.status()["signing"], signing)
        self.proxy.wait_for(4, "immure_handshakes_total", result="full")

    def test_async(self):
        self.serve("async")
        self.assertTrue(self.proxy.immured())
        self.assertNotIn("in-process", self.proxy.log())

    def test_sync(self):
        self.serve("sync")
        self.assertTrue(self.proxy.immured())

    def test_in_process_warns(self):
        self.serve("in-process")
        self.assertRegex(self.proxy.log(), "warning: .*in-process")
        self.assertEqual(self.proxy.immured(), 0)

    def test_what_ps_shows(self):
        self.serve("async")
        self.assertRegex(proc.title(self.proxy.pid), "^immure-proxy.*master")
        self.assertRegex(proc.title(self.proxy.worker()), "^immure-proxy.*worker")
        self.assertRegex(proc.title(self.proxy.immured()), "immured")


if __name__ == "__main__":
    harness.main()

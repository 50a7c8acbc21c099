"""
No part of a private key is in the memory of the master or the worker, nor, where the kernel has
secret memory, in what root can read of immured; not after reloads and a new key process, and not in
core files that are made by force. In the `in-process` mode the same search finds the keys in the
worker, which shows that it can.

    IMMURE_SCAN_HANDSHAKES    so many before the search, instead of a few (script/memory-scan)
"""

import ctypes
import mmap
import os
import shutil
import signal
import subprocess

import backends
import clients
import harness
import keyparts
from certificates import certificate

KINDS = ["rsa-2048", "p-256", "ed25519"]
HANDSHAKES = int(os.environ.get("IMMURE_SCAN_HANDSHAKES", "150"))
PIDFD_GETFD = 438
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
        proxy.wait_for(6 * len(KINDS), "immure_handshakes_total", result="full")
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


def secret_memory():
    """Whether immured gets memory here that root cannot read."""
    probe = certificate("p-256").key
    with open(os.memfd_create("immured.conf", 0), "w", encoding="utf-8") as config:
        config.write(f'key "probe" {{ file = "{probe}" }}\n')
        config.flush()
        done = subprocess.run([harness.program_path("immured"), "--config", f"/proc/{os.getpid()}/fd/{config.fileno()}",
                               "--explain-sandbox"], capture_output=True, text=True, timeout=harness.LIMIT, check=False)
    return "yes  secret memory" in done.stdout


@harness.needs_root("to read the memory of the programs")
@harness.not_sanitized("the sanitizer's own memory is terabytes of address space")
class AfterALongDay(harness.SystemTest):
    """Handshakes, a reload, a key process killed, handshakes."""

    def test_nothing_is_found(self):
        self.spend_the_day()
        self.assertTrue(self.proxy.immured())
        for name, pid in self.processes():
            with self.subTest(process=name):
                self.assertEqual(keyparts.search(pid, self.needles), set())
        self.descriptors_lead_nowhere()
        if shutil.which("gcore") is None:
            self.skipTest("core files: not installed: gcore")
        for name, pid in self.processes():
            with self.subTest(core=name):
                self.assertEqual(self.search_core(pid), [])

    def spend_the_day(self):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate(kind) for kind in KINDS], backend.address)
        self.needles = {f"{kind}: {name}": data for kind in KINDS
                        for name, data in keyparts.needles(certificate(kind).key).items()}
        self.handshakes(HANDSHAKES // 3)
        worker = self.proxy.worker()
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.worker() not in (0, worker) and self.proxy.ready(), "the next worker")
        self.handshakes(HANDSHAKES // 3)
        immured = harness.wait_until(self.proxy.immured, "an immured")
        os.kill(immured, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.immured() not in (0, immured), "a new immured")
        self.handshakes(HANDSHAKES // 3)

    def handshakes(self, count):
        loads = [clients.HandshakeLoad(self.proxy.port, 2, version) for version in (clients.TLS12, clients.TLS13)]
        harness.wait_until(lambda: sum(load.done for load in loads) >= count, f"{count} handshakes",
                           harness.LIMIT + count / 20)
        for load in loads:
            load.stop()
            self.assertEqual(load.failures, [])

    def processes(self):
        found = {"master": self.proxy.pid, "worker": self.proxy.worker()}
        if secret_memory():
            found["immured"] = self.proxy.immured()
        return found.items()

    def search_core(self, pid):
        core = os.path.join(self.directory, "core")
        done = subprocess.run(["gcore", "-a", "-o", core, str(pid)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=harness.LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-500:])
        with open(f"{core}.{pid}", "rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                self.assertGreater(len(content), 100000)
                found = [what for what, data in self.needles.items() if content.find(data) >= 0]
        os.unlink(f"{core}.{pid}")
        return found

    def descriptors_lead_nowhere(self):
        """Not even root can reach the secret memory through a descriptor of immured."""
        libc = ctypes.CDLL(None, use_errno=True)
        immured = self.proxy.immured()
        pidfd = os.pidfd_open(immured)
        numbers = [int(entry) for entry in os.listdir(f"/proc/{immured}/fd")]
        self.assertGreater(len(numbers), 3)
        for number in numbers:
            copy = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
            self.assertGreaterEqual(copy, 0, "root may")
            self.assertNotIn("secretmem", os.readlink(f"/proc/self/fd/{copy}"))
            with self.assertRaises((OSError, ValueError)):
                mmap.mmap(copy, 4096, mmap.MAP_SHARED, mmap.PROT_READ).close()
            os.close(copy)
        os.close(pidfd)


if __name__ == "__main__":
    harness.main()

"""What many keys in compact form cost: immured starts with them, from their files and from a vault, and
signs with some for the first time and again. script/compact-keys runs this."""

import os
import random
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "system"))

import harness  # noqa: E402
import proc  # noqa: E402
import wire  # noqa: E402
from immured import ImmuredTest  # noqa: E402
from key_supervisor import Supervisor, write_keys  # noqa: E402

KEYS = int(os.environ.get("COMPACT_KEYS", "100000"))
SAMPLE = 300


def memory(pid):
    """Bytes that are resident, but for what other processes share."""
    rows = dict(line.split(":", 1) for line in proc.read(pid, "status").splitlines() if ":" in line)
    return 1024 * (int(rows["RssAnon"].split()[0]) + int(rows["RssShmem"].split()[0]))


def cpu(pid):
    """Seconds."""
    fields = proc.stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Measurement(ImmuredTest):
    def sign(self, client, key):
        """Milliseconds."""
        begun = time.perf_counter()
        self.assertEqual(client.sign(key.id, wire.ECDSA_SHA256, wire.tls13_message()).type, wire.SIGNED)
        return 1000 * (time.perf_counter() - begun)

    def report(self, supervisor, what):
        begun = time.monotonic()
        immured = supervisor.start()
        took = time.monotonic() - begun
        print(f"{what}: {took:.2f} s, {cpu(immured.pid):.2f} s of CPU time in immured, "
              f"{memory(immured.pid) / max(1, len(supervisor.keys)):.0f} bytes resident for each key")

    def test(self):
        self.report(Supervisor(self, "threads = 2\nkeys \"web\" { }\n", write_keys(self.directory, 1)), "one key")
        os.unlink(os.path.join(self.directory, "immured.sock"))
        keys = write_keys(self.directory, KEYS)
        supervisor = Supervisor(self, "threads = 2\nkeys \"web\" { }\n", keys)
        self.path = supervisor.path
        self.report(supervisor, f"{KEYS} keys from their files")
        supervisor.kill()
        self.report(supervisor, f"{KEYS} keys from the vault")
        client = self.connect()
        first, second = [], []
        for key in random.sample(keys, min(SAMPLE, KEYS)):
            first.append(self.sign(client, key))
            second.append(self.sign(client, key))
        print(f"first signature of a key: {statistics.median(first):.2f} ms; second: "
              f"{statistics.median(second):.2f} ms")


if __name__ == "__main__":
    harness.main()

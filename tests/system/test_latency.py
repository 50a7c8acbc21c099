"""
A signature that takes 50 ms delays neither other handshakes nor established connections. In `sync`
mode it delays both, which shows that the test can detect it.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import threading
import time

import backends
import clients
import harness
from certificates import certificate

HANDSHAKES = 100
SIGNATURE = 0.050  # seconds a batch: the `delay` backend of immured-test
TRIES = 5


async def handshake(port, tls):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost",
                                              ssl_handshake_timeout=60)
    return reader, writer


async def storm(port):
    """Begins them all at once, and prints the seconds until the last one is done."""
    tls = clients.context(clients.TLS13)
    begin = time.monotonic()
    streams = await asyncio.gather(*(handshake(port, tls) for _ in range(HANDSHAKES)))
    print(time.monotonic() - begin, flush=True)
    for reader, writer in streams:  # so that the server has seen their end, too
        writer.write(b"x")
        await reader.readexactly(1)
        writer.transport.abort()


class Latency(harness.SystemTest):
    def measure(self, signing):
        """(seconds for all handshakes, median and mean round trip of an established connection meanwhile)"""
        backend = self.own(backends.Backend(backends.echo))
        tester = harness.program_path("immured-test")
        proxy = self.start_proxy(
            [certificate("p-256")], backend.address, workers=1, signing=signing,
            top='handshake-timeout = "60s"',
            keys=f'threads = 1\n    program = "{tester}"\n    backend = "delay"')
        probe = self.own(clients.connect(proxy.port))
        clients.echo_once(probe)

        # A process of its own, so that its work does not delay the probe.
        load = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), "--storm",
                                 str(proxy.port)], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        self.addCleanup(load.stdout.close)
        self.addCleanup(load.wait)
        load.stdout.readline()  # it is ready
        times, done = [], []
        threading.Thread(target=lambda: done.append(float(load.stdout.readline())),
                         daemon=True).start()
        load.stdin.close()  # go
        while not done:
            times.append(clients.echo_once(probe))
            time.sleep(0.002)
        self.assertEqual(load.wait(harness.LIMIT), 0)
        elapsed = done[0]
        proxy.wait_for(HANDSHAKES + 1, "immure_handshakes_total", result="full")
        self.assertGreaterEqual(len(times), 10)
        median = statistics.median(times)
        print(f"{signing}: {HANDSHAKES} handshakes in {elapsed:.3f} s; established connection: "
              f"median of {len(times)} round trips {median * 1e3:.2f} ms")
        return elapsed, median, statistics.mean(times)

    def test_async(self):
        """One good try out of a few is enough, because other load may delay the rest."""
        for _ in range(TRIES):
            elapsed, median, _ = self.measure("async")
            if elapsed < HANDSHAKES * SIGNATURE and median < SIGNATURE / 4:
                return
        self.fail("what the signatures take holds others up")

    def test_sync(self):
        """The mean, because a round trip either falls between two signatures or waits for one or two of them."""
        elapsed, _, mean = self.measure("sync")
        self.assertGreater(elapsed, HANDSHAKES * SIGNATURE)
        self.assertGreater(mean, SIGNATURE / 4)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--storm"]:
        print("ready", flush=True)
        sys.stdin.read()
        asyncio.run(storm(int(sys.argv[2])))
    else:
        harness.main()

"""immured killed with -9 under load: no handshake fails and no established connection notices."""

import os
import signal
import threading
import time

import backends
import clients
import harness
from certificates import certificate

KILLS = 10


class KillKeyd(harness.SystemTest):
    def test_ten_kills(self):
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("rsa-2048")], backend.address)
        probe = self.own(clients.connect(proxy.port))
        worker = proxy.worker()
        loads = [clients.HandshakeLoad(proxy.port, 3, version)
                 for version in (clients.TLS12, clients.TLS13)]

        round_trips = []
        stopping = threading.Event()

        def established():
            while not stopping.is_set():
                round_trips.append(clients.echo_once(probe))
                time.sleep(0.002)

        watcher = threading.Thread(target=established, daemon=True)
        watcher.start()
        for _ in range(KILLS):
            done = sum(load.done for load in loads)
            harness.wait_until(lambda done=done: sum(load.done for load in loads) > done + 10,
                               "handshakes under way")
            victim = harness.wait_until(proxy.immured, "an immured")
            os.kill(victim, signal.SIGKILL)
            harness.wait_until(lambda victim=victim: proxy.immured() not in (0, victim), "a new immured")
        done = sum(load.done for load in loads)
        harness.wait_until(lambda: sum(load.done for load in loads) > done + 10, "handshakes at the end")
        for load in loads:
            load.stop()
        stopping.set()
        watcher.join(harness.LIMIT)

        self.assertEqual([failure for load in loads for failure in load.failures], [])
        self.assertEqual(proxy.worker(), worker, "the worker was not to be replaced")
        self.assertGreater(len(round_trips), KILLS)
        self.assertLess(max(round_trips), harness.scaled(1.0, 5.0))
        self.assertEqual(proxy.metric("immure_handshakes_total", result="failed"), 0)
        self.assertEqual(proxy.metric("immure_handshakes_total", result="timeout"), 0)
        self.assertGreaterEqual(proxy.metric("immure_handshakes_total", result="full"),
                                sum(load.done for load in loads))


if __name__ == "__main__":
    harness.main()

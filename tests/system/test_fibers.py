"""The memory for the fibers of a storm of handshakes is released when it is over."""

import os
import signal
import socket

import backends
import clients
import harness
import proc
from certificates import certificate

HANDSHAKES = 1500
FIBER = 32 * 1024


class Fibers(harness.SystemTest):
    @harness.not_sanitized("its allocator gives back nothing")
    def test_after_a_storm(self):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, workers=1,
                                      top='handshake-timeout = "60s"\nhandshake-wait = none')
        self.worker = self.proxy.worker()
        self.storm(20)
        before = proc.resident(self.worker)
        most = self.storm(HANDSHAKES)
        self.assertGreater(most - before, HANDSHAKES // 2 * FIBER)
        harness.wait_until(
            lambda: proc.resident(self.worker) - before < (most - before) // 3,
            f"the memory of {HANDSHAKES} fibers, {before} before and {most} at most")
        with clients.connect(self.proxy.port) as connection:  # and new ones are made
            clients.echo_once(connection)

    def storm(self, count):
        """Clients wait for their signatures, and then leave. Returns the worker's memory
        meanwhile."""
        hello = clients.client_hello()
        connections = []
        immured = self.proxy.immured()
        proc.stop(immured)
        try:
            for _ in range(count):
                connection = socket.create_connection(("127.0.0.1", self.proxy.port))
                connection.sendall(hello)
                connections.append(connection)
            self.proxy.wait_for(count, "immure_signatures_pending")
            most = proc.resident(self.worker)
            for connection in connections:
                clients.reset(connection)
        finally:
            os.kill(immured, signal.SIGCONT)
        self.proxy.wait_for(0, "immure_connections")
        return most


if __name__ == "__main__":
    harness.main()

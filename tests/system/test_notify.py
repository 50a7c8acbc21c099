"""immure-proxy tells a service manager when it is ready, reloads and ends (sd_notify(3))."""

import os
import signal
import socket
from unittest import mock

import backends
import harness
from certificates import certificate


class Notify(harness.SystemTest):
    def setUp(self):
        super().setUp()
        backend = self.own(backends.Backend(backends.echo))
        path = os.path.join(self.directory, "notify")
        self.manager = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.manager.bind(path)
        self.manager.settimeout(harness.LIMIT)
        with mock.patch.dict(os.environ, NOTIFY_SOCKET=path):
            self.proxy = self.start_proxy([certificate("p-256")], backend.address)

    def hear(self):
        """The next datagram as a dictionary."""
        return dict(line.split("=", 1) for line in self.manager.recv(4096).decode().splitlines())

    def test_a_life(self):
        self.assertEqual(self.hear()["READY"], "1")
        self.proxy.signal(signal.SIGHUP)
        reloading = self.hear()
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
        ready = self.hear()
        self.assertEqual(ready["READY"], "1")
        self.assertIn("signing async", ready["STATUS"])
        self.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.hear(), {"STOPPING": "1"})

    def test_a_reload_that_fails_leaves_it_ready(self):
        before = self.hear()
        self.proxy.write_config(self.proxy.config + "no-such-directive = 1\n")
        self.proxy.signal(signal.SIGHUP)
        self.assertEqual(self.hear()["RELOADING"], "1")
        self.assertEqual(self.hear(), before)


if __name__ == "__main__":
    harness.main()

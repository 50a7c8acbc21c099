"""A separate immured that several proxies use, and that may be restarted at any time."""

import os
import signal
import subprocess

import backends
import clients
import harness
from certificates import certificate, encrypted


class ExternalImmured(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.socket = os.path.join(self.directory, "immured.sock")

    def start_immured(self, *keys):
        path = os.path.join(self.directory, "immured.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.socket}"\nthreads = 1\n')
            for number, each in enumerate(keys):
                file.write(f'key "key{number}" {{ file = "{each.key}" }}\n')
        immured = self.start_program("immured", "--config", path)
        harness.wait_until(lambda: " serves" in immured.log(), "immured to serve")
        return immured

    def start(self, **options):
        return self.start_proxy([certificate("p-256")], self.backend.address,
                                keys=f'socket = "{self.socket}"', **options)

    def end(self, program, number, status):
        program.expected_status = status
        program.signal(number)
        program.wait()

    def test_two_proxies(self):
        self.start_immured(certificate("p-256"))
        for proxy in (self.start(), self.start(signing="sync")):
            self.assertEqual(proxy.immured(), 0, "none of its own")
            with clients.connect(proxy.port, clients.context(trusted=certificate("p-256"))) as one:
                clients.echo_once(one)

    def test_another_user_listens(self):
        """peer-user: nothing is sent to a stranger that has taken over the socket's name."""
        immured = self.start_immured(certificate("p-256"))
        port, admin = harness.free_port(), harness.free_port()

        def config(user):
            return harness.proxy_config(port, admin, [certificate("p-256")], self.backend.address,
                                        keys=f'socket = "{self.socket}" peer-user = "{user}"')
        proxy = self.start_proxy_with(config(os.getuid()), port, admin)
        with clients.connect(port) as connection:
            clients.echo_once(connection)
        proxy.write_config(config(os.getuid() + 1))
        connected = immured.log().count("session")
        done = subprocess.run([harness.program_path("immure-proxy"), "--test", "--config",
                               proxy.config_path], capture_output=True, text=True,
                              timeout=harness.LIMIT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"keys: no immured at {self.socket}: another user listens there than peer-user says",
                      done.stderr)
        self.assertEqual(immured.log().count("session"), connected)

    def test_restarted_under_load(self):
        immured = self.start_immured(certificate("p-256"))
        proxy = self.start()
        load = clients.HandshakeLoad(proxy.port)
        for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)) * 2:
            done = load.done
            harness.wait_until(lambda done=done: load.done > done + 10, "handshakes under way")
            self.end(immured, number, status)
            immured = self.start_immured(certificate("p-256"))
        done = load.done
        harness.wait_until(lambda: load.done > done + 10, "handshakes after the last restart")
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreaterEqual(proxy.metric("immure_keyd_reconnects_total"), 4)

    def test_handshakes_wait_for_an_immured_that_is_away(self):
        immured = self.start_immured(certificate("p-256"))
        proxy = self.start()
        self.end(immured, signal.SIGTERM, 0)
        load = clients.HandshakeLoad(proxy.port, threads=2)
        harness.wait_until(lambda: proxy.metric("immure_signatures_pending") == 2, "two that wait")
        self.assertEqual(load.done, 0)
        self.start_immured(certificate("p-256"))
        harness.wait_until(lambda: load.done > 2, "handshakes")
        load.stop()
        self.assertEqual(load.failures, [])

    def test_an_immured_that_is_not_there(self):
        """--test reports it at once; a normal start reports it too, and waits for immured."""
        port, admin_port = harness.free_port(), harness.free_port()
        config = os.path.join(self.directory, "proxy.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(harness.proxy_config(port, admin_port, [certificate("p-256")], self.backend.address,
                                            keys=f'socket = "{self.socket}"'))
        test = subprocess.run([harness.program_path("immure-proxy"), "--test", "--config", config],
                              capture_output=True, text=True, timeout=harness.LIMIT, check=False)
        missing = f"keys: no immured at {self.socket}: No such file or directory"
        self.assertEqual(test.returncode, 1)
        self.assertIn(missing, test.stderr)
        proxy = harness.Program(self.directory, "immure-proxy", "--config", config)
        self.programs.append(proxy)
        harness.wait_until(lambda: missing in proxy.log(), "the warning")
        self.start_immured(certificate("p-256"))
        harness.wait_until(lambda: "is in force" in proxy.log(), "the start")
        self.assertEqual(proxy.log().count(missing), 1)

    def test_a_key_that_immured_has_not(self):
        """It is reported at the start, with the certificate that cannot be served."""
        self.start_immured(certificate("rsa-2048"))
        port, admin_port = harness.free_port(), harness.free_port()
        config = harness.proxy_config(port, admin_port, [certificate("p-256")], self.backend.address,
                                      keys=f'socket = "{self.socket}"')
        proxy = harness.Proxy(self.directory, config, port, admin_port)
        self.programs.append(proxy)
        proxy.expected_status = 1
        self.assertEqual(proxy.wait(), 1)
        self.assertIn(certificate("p-256").chain, proxy.log())


class EncryptedKey(harness.SystemTest):
    def serve(self, **options):
        backend = self.own(backends.Backend(backends.echo))
        plain = certificate("p-256")
        locked, phrase = encrypted(plain, "correct horse battery staple")
        port, admin_port = harness.free_port(), harness.free_port()
        config = harness.proxy_config(port, admin_port, [locked], backend.address, **options)
        config = config.replace(f'key = "{locked.key}"',
                                f'key = "{locked.key}"  pass-phrase-file = "{phrase}"')
        proxy = self.start_proxy_with(config, port, admin_port)
        with clients.connect(proxy.port, clients.context(trusted=plain)) as connection:
            clients.echo_once(connection)

    def test_in_immured(self):
        self.serve()

    def test_in_process(self):
        self.serve(signing="in-process")


if __name__ == "__main__":
    harness.main()

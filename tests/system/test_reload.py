"""HUP: a new configuration without a dropped connection, and a bad one that changes nothing."""

import contextlib
import os
import resource
import signal
import socket
import time

import backends
import clients
import harness
import proc
from certificates import certificate, der
from storm import Storm, failures

RELOADS = harness.scaled(100, 5)


def shown(port):
    """The certificate that the server shows."""
    with clients.connect(port) as connection:
        return connection.getpeercert(binary_form=True)


class Reload(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.old, self.new = certificate("p-256"), certificate("rsa-2048", serial=2)

    def start(self, **options):
        self.proxy = self.start_proxy([self.old], self.backend.address, **options)
        return self.proxy

    def configure(self, certificates, **options):
        """Another configuration for the same ports."""
        self.proxy.write_config(harness.proxy_config(
            self.proxy.port, self.proxy.admin_port, certificates, self.backend.address, **options))

    def connect_to(self, cert):
        """A connection to the worker that shows this certificate: the one before it may accept for a
        moment after the new configuration is in force."""
        def connect():
            connection = self.own(clients.connect(self.proxy.port))
            if connection.getpeercert(binary_form=True) == der(cert):
                return connection
            connection.close()
            return None
        return harness.wait_until(connect, f"the certificate {cert.chain}")

    def reload(self):
        """HUP, and waits until a new configuration is in force."""
        before = self.proxy.log().count("is in force")
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")

    def assert_shown(self, cert):
        """Waits for it, because the old worker may accept for a moment after the new configuration
        is in force."""
        harness.wait_until(lambda: shown(self.proxy.port) == der(cert), f"the certificate {cert.chain}")

    def refused_reload(self, reason):
        """HUP, and waits until it is refused with this reason; nothing may have changed."""
        worker, immured = self.proxy.worker(), self.proxy.immured()
        established = self.own(clients.connect(self.proxy.port))
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: "the running configuration goes on" in self.proxy.log(),
                           "the refusal")
        self.assertIn(reason, self.proxy.log())
        harness.wait_until(lambda: len(proc.children(self.proxy.pid)) == 2, "only the old processes")
        self.assertEqual((self.proxy.worker(), self.proxy.immured()), (worker, immured))
        clients.echo_once(established)
        self.assertEqual(shown(self.proxy.port), der(self.old))

    def test_under_load(self):
        proxy = self.start()
        established = self.own(clients.connect(proxy.port))
        clients.echo_once(established)
        first_worker = proxy.worker()
        loads = [clients.HandshakeLoad(proxy.port, 3, version)
                 for version in (clients.TLS12, clients.TLS13)]
        for turn in range(4):
            done = sum(load.done for load in loads)
            harness.wait_until(lambda done=done: sum(load.done for load in loads) > done + 20,
                               "handshakes under way")
            expected = self.new if turn % 2 == 0 else self.old
            self.configure([expected], workers=2 + turn)
            self.reload()
            self.assert_shown(expected)
            clients.echo_once(established)
        for load in loads:
            load.stop()
        self.assertEqual([failure for load in loads for failure in load.failures], [])
        self.assertTrue(proc.alive(first_worker), "it still has an established connection")
        established.close()
        harness.wait_until(lambda: len(proc.children(proxy.pid)) == 2, "the old processes' end")

    def test_typo_is_refused(self):
        proxy = self.start()
        self.configure([self.new], top="\n\nsigining = sync")
        self.refused_reload(f"{proxy.config_path}:5: unknown directive 'sigining'; "
                            "did you mean 'signing'?")

    def test_missing_file_is_refused(self):
        proxy = self.start()
        self.configure([self.new._replace(chain="missing.crt")])
        self.refused_reload(f"{proxy.config_path}:6: chain {self.directory}/missing.crt: "
                            "No such file or directory")

    def test_broken_key_is_refused(self):
        proxy = self.start()
        broken = os.path.join(self.directory, "broken.key")
        with open(broken, "w", encoding="ascii") as file:
            file.write("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        self.configure([self.new._replace(key=broken)])
        self.refused_reload(f"{proxy.config_path}:6: ")

    def test_key_of_another_certificate_is_refused(self):
        proxy = self.start()
        self.configure([self.new._replace(key=self.old.key)])
        self.refused_reload(f"{proxy.config_path}:6: ")

    def test_occupied_port_is_refused(self):
        proxy = self.start()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.configure([self.new])
            proxy.write_config(proxy.config.replace(
                f'"127.0.0.1:{proxy.port}"', f'"127.0.0.1:{proxy.port}", "127.0.0.1:{port}"'))
            self.refused_reload(f"{proxy.config_path}:5: cannot listen on 127.0.0.1:{port}: "
                                "Address already in use")

    def test_corrected_after_a_refusal(self):
        self.start()
        self.configure([self.new], top='user = "')
        self.refused_reload("this string does not end")
        self.configure([self.new])
        self.reload()
        self.assert_shown(self.new)

    def test_hup_during_a_reload(self):
        proxy = self.start()
        load = clients.HandshakeLoad(proxy.port, 2)
        for turn in range(10):
            self.configure([self.new if turn % 2 else self.old])
            proxy.signal(signal.SIGHUP)
            time.sleep(0.01 * turn)
        harness.wait_until(lambda: shown(proxy.port) == der(self.new), "the last configuration")
        harness.wait_until(lambda: len(proc.children(proxy.pid)) == 2, "the others' end")
        load.stop()
        self.assertEqual(load.failures, [])

    def test_nobody_is_cut(self):
        """By default; and drained workers are gone."""
        proxy = self.start(top="drain-timeout = 100ms")
        established = self.own(clients.connect(proxy.port))
        first = proxy.worker()
        self.configure([self.new], top="drain-timeout = 100ms")
        self.reload()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            clients.echo_once(established)
            time.sleep(0.05)
        established.close()
        harness.wait_until(lambda: not proc.alive(first), "the old worker's end")

    def test_old_workers_are_bounded(self):
        self.bound_old_workers("reload-workers = 2")

    def test_old_workers_with_a_drain_time_are_bounded(self):
        self.bound_old_workers("reload-workers = 2 reload-drain-timeout = 1h")

    def bound_old_workers(self, top):
        """Each of them has a client that stays; the oldest ends first, and says so."""
        options = {"top": top}
        proxy = self.start(**options)
        clients_of = []
        for turn in range(4):
            served, following = (self.new, self.old) if turn % 2 else (self.old, self.new)
            clients_of.append(self.connect_to(served))
            self.configure([following], **options)
            self.reload()
        for connection in clients_of[:2]:
            with self.assertRaises(OSError):
                while True:
                    clients.echo_once(connection)
                    time.sleep(0.01)
        for connection in clients_of[2:]:
            clients.echo_once(connection)
        self.assertEqual(proxy.log().count("more than 2 old workers drain (reload-workers): the oldest"), 2)
        harness.wait_until(lambda: sum(proc.title(pid) == "immure-proxy: worker"
                                       for pid in proc.children(proxy.pid)) == 3, "three workers")

    def test_a_reload_that_is_given_up_is_no_old_worker(self):
        """Its immured ends late, and its worker has no connections."""
        proxy = self.start(top="reload-workers = 1")
        established = self.own(clients.connect(proxy.port))
        known = set(proc.children(proxy.pid))
        proxy.signal(signal.SIGHUP)
        late = harness.wait_until(
            lambda: next((pid for pid in set(proc.children(proxy.pid)) - known
                          if proc.program(pid).startswith("immured")), 0), "its immured", pause=0.001)
        proc.stop(late)  # of two signals that wait for it, SIGTERM would come first and end it
        try:
            self.reload()
            self.assertTrue(proc.alive(late))
            self.assertNotIn("reload-workers", proxy.log())
            clients.echo_once(established)
        finally:
            os.kill(late, signal.SIGCONT)

    def test_the_end_is_for_old_workers_too(self):
        proxy = self.start(top="drain-timeout = 300ms")
        established = self.own(clients.connect(proxy.port))
        self.configure([self.new], top="drain-timeout = 300ms")
        self.reload()
        proxy.signal(signal.SIGTERM)
        with self.assertRaises(OSError):
            while True:
                clients.echo_once(established)
                time.sleep(0.01)
        self.assertEqual(proxy.wait(), 0)

    def test_drain_time_is_limited(self):
        proxy = self.start(top="reload-drain-timeout = 300ms")
        established = self.own(clients.connect(proxy.port))
        first = proxy.worker()
        self.configure([self.new], top="reload-drain-timeout = 300ms")
        begin = time.monotonic()
        self.reload()
        with self.assertRaises(OSError):
            while True:
                clients.echo_once(established)
                time.sleep(0.01)
        self.assertGreater(time.monotonic() - begin, 0.25)
        harness.wait_until(lambda: not proc.alive(first), "the old worker's end")

    def test_fewer_threads_leave_no_dead_socket(self):
        """Sockets of threads that no longer exist must not receive connections."""
        proxy = self.start(workers=6)
        self.configure([self.new], workers=1)
        established = self.own(clients.connect(proxy.port))  # so that the old worker stays
        self.reload()

        def new_is_shown():
            with contextlib.suppress(ConnectionError):  # of a client in the queue of a socket that goes
                return shown(proxy.port) == der(self.new)
        harness.wait_until(new_is_shown, "the new certificate")
        for _ in range(40):
            with clients.connect(proxy.port) as connection:
                clients.echo_once(connection)
        clients.echo_once(established)

    def test_a_hundred_under_load(self):
        """Each with another certificate and another key than before."""
        certificates = [certificate("p-256"), certificate("ed25519"), certificate("p-384")]
        proxy = self.start()
        storm = self.own(Storm(proxy.port, harness.scaled(150, 20), harness.scaled(20, 10)))
        done = 0
        while storm.running() or done < RELOADS:
            done += 1
            expected = certificates[done % len(certificates)]
            self.configure([expected])
            self.reload()
            if done % 10 == 0:
                self.assert_shown(expected)
        report = storm.finish()
        self.assertEqual((failures(report), report["lost"]), ({}, 0))
        self.assertGreater(report["full"], 0)
        self.assertEqual(proxy.log().count("goes on"), 0)

    def test_addresses_come_and_go(self):
        proxy = self.start()
        second = harness.free_port()
        plain = proxy.config
        proxy.write_config(plain.replace(f'"127.0.0.1:{proxy.port}"',
                                         f'"127.0.0.1:{proxy.port}", "127.0.0.1:{second}"'))
        self.reload()
        self.assertEqual(shown(second), der(self.old))
        proxy.write_config(plain)
        self.reload()
        self.assertEqual(shown(proxy.port), der(self.old))
        harness.wait_until(lambda: clients.refused(second), "nobody to listen there")

    @harness.needs_root("the master's /proc is root's")
    def test_nothing_accumulates(self):
        proxy = self.start()
        self.reload()
        harness.wait_until(lambda: len(proc.children(proxy.pid)) == 2, "the old processes' end")
        descriptors = proc.descriptors(proxy.pid)
        for turn in range(6):
            self.configure([self.new if turn % 2 else self.old], workers=1 + turn % 2,
                           top="" if turn % 3 else "workers = none")
            proxy.signal(signal.SIGHUP)
            time.sleep(harness.scaled(0.2, 1.0))
        self.configure([self.old])
        self.reload()
        harness.wait_until(lambda: len(proc.children(proxy.pid)) == 2, "the old processes' end")
        harness.wait_until(lambda: proc.descriptors(proxy.pid) <= descriptors,
                           f"{descriptors} descriptors again")

    @harness.needs_root("the master's /proc is root's")
    def test_without_descriptors(self):
        """It is refused in one line, whatever lacks a descriptor; the next HUP starts afresh."""
        proxy = self.start()
        held = proc.descriptors(proxy.pid)
        before = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
        self.configure([self.new])
        for more in range(0, 16, 3):
            refusals = proxy.log().count("the running configuration goes on")
            resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (held + more, before[1]))
            try:
                proxy.signal(signal.SIGHUP)
                harness.wait_until(lambda: proxy.log().count("the running configuration goes on") > refusals
                                   or proxy.log().count("is in force") > 1, "the refusal")
            finally:
                resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, before)
            if proxy.log().count("is in force") > 1:
                break  # these were enough
            self.assertIn("Too many open files", proxy.log())
            self.assertEqual(proxy.log().count("the running configuration goes on"), refusals + 1, proxy.log())
            harness.wait_until(lambda: len(proc.children(proxy.pid)) == 2, "only the old processes")
            harness.wait_until(lambda: proc.descriptors(proxy.pid) == held, f"{held} descriptors again")
            self.assert_shown(self.old)
        self.assertGreater(proxy.log().count("the running configuration goes on"), 1)
        if proxy.log().count("is in force") == 1:
            self.reload()
        self.assert_shown(self.new)

    def test_sessions_survive(self):
        proxy = self.start()
        tls = clients.context(clients.TLS12)
        with clients.connect(proxy.port, tls) as connection:
            clients.echo_once(connection)
            session = connection.session
        self.configure([self.old], workers=3)
        self.reload()
        with clients.connect(proxy.port, tls, session=session) as connection:
            self.assertTrue(connection.session_reused)


if __name__ == "__main__":
    harness.main()

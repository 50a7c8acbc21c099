"""Session tickets: one a handshake, good on every thread, after a reload and after a worker's death;
with a secret, also after a restart and at every server that has it."""

import os
import re
import signal
import ssl
import time

import backends
import clients
import harness
from certificates import certificate


class Tickets(harness.SystemTest):
    options = {}

    def start(self, **options):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")], backend.address, **options)

    def resumed(self, tls, session):
        """(was it resumed, the session to resume next)"""
        with clients.connect(self.proxy.port, tls, session=session) as connection:
            clients.echo_once(connection)  # TLS 1.3 tickets come with the first data
            return connection.session_reused, connection.session

    def tickets_of_one_handshake(self):
        """NewSessionTicket messages until the backend, having got a line, ends the connection."""
        backend = self.own(backends.Backend(lambda connection: connection.recv(100)))
        proxy = self.start_proxy([certificate("p-256")], backend.address, **self.options)
        output, _ = clients.s_client(proxy.port, "-tls1_3", "-msg", "-ign_eof", text=b"hello\n")
        return output.count("Handshake [length") and output.count(", NewSessionTicket")

    def test_one_ticket_a_handshake(self):
        self.assertEqual(self.tickets_of_one_handshake(), 1)

    def test_number_of_tickets(self):
        self.options = {"frontend": "tickets = 2"}
        self.assertEqual(self.tickets_of_one_handshake(), 2)

    def test_no_initialization_vector_twice(self):
        """RFC 5077, section 4, recommends the format: key_name[16], iv[16], and the rest."""
        backend = self.own(backends.Backend(lambda connection: connection.recv(100)))
        proxy = self.start_proxy([certificate("p-256")], backend.address, frontend="tickets = 8")
        keys, vectors = set(), []
        for _ in range(10):
            output, _ = clients.s_client(proxy.port, "-tls1_3", "-msg", "-ign_eof", text=b"hello\n")
            for dump in re.findall(r", NewSessionTicket\n((?:    [0-9a-f ]+\n)+)", output):
                message = bytes.fromhex(dump)
                ticket = 13 + message[12] + 2  # RFC 8446, section 4.6.1
                keys.add(message[ticket:ticket + 16])
                vectors.append(message[ticket + 16:ticket + 32])
        self.assertEqual((len(keys), len(vectors), len(set(vectors))), (1, 80, 80))

    def test_none(self):
        self.options = {"frontend": "tickets = 0"}
        self.start(**self.options)
        self.assertEqual(self.tickets_of_one_handshake(), 0)
        for version in (clients.TLS12, clients.TLS13):
            tls = clients.context(version)
            _, session = self.resumed(tls, None)
            self.assertFalse(self.resumed(tls, session)[0])

    def test_every_thread_resumes(self):
        self.start(workers=4)
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                tls = clients.context(version)
                _, session = self.resumed(tls, None)
                for _ in range(24):  # SO_REUSEPORT spreads them over the threads
                    reused, session = self.resumed(tls, session)
                    self.assertTrue(reused)
        self.proxy.wait_for(48, "immure_handshakes_total", result="resumed")
        self.proxy.wait_for(2, "immure_handshakes_total", result="full")

    def test_after_reload(self):
        self.start()
        tls = clients.context(clients.TLS13)
        _, session = self.resumed(tls, None)
        before = self.proxy.worker()
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.worker() not in (0, before), "a new worker")
        harness.wait_until(self.proxy.ready, "the admin page of the new worker")
        reused, _ = self.resumed(tls, session)
        self.assertTrue(reused)

    def test_after_the_workers_death(self):
        self.start()
        tls = clients.context(clients.TLS13)
        _, session = self.resumed(tls, None)
        before = self.proxy.worker()
        os.kill(before, signal.SIGKILL)
        harness.wait_until(lambda: not os.path.exists(f"/proc/{before}"), "the worker's end")
        reused, _ = self.resumed(tls, session)
        self.assertTrue(reused)

    def test_a_ticket_of_nobody_is_a_full_handshake(self):
        self.start()
        tls = clients.context(clients.TLS12)
        _, session = self.resumed(tls, None)
        self.programs.remove(self.proxy)
        self.assertEqual(self.proxy.stop(), [])
        self.start()
        self.assertIsInstance(session, ssl.SSLSession)
        self.assertFalse(self.resumed(tls, session)[0])

    def start_sharing(self, secret, epoch="1h", **options):
        """Starts a server whose ticket keys come from this secret, which is written to the file."""
        path = os.path.join(self.directory, "secret")
        with open(path, "wb") as file:
            file.write(secret)
        self.start(keys=f'threads = 2  ticket-secret-file = "{path}"  ticket-epoch = {epoch}',
                   **options)
        return self.proxy

    def test_two_proxies_with_one_secret(self):
        for version in (clients.TLS12, clients.TLS13):
            with self.subTest(version=version):
                tls = clients.context(version)
                self.start_sharing(bytes(range(32)))
                _, session = self.resumed(tls, None)
                self.start_sharing(bytes(range(32)), workers=3)
                reused, session = self.resumed(tls, session)
                self.assertTrue(reused)
                self.start_sharing(bytes(range(1, 33)))
                self.assertFalse(self.resumed(tls, session)[0])

    def test_where_the_loop_waits_for_immured(self):
        self.start_sharing(bytes(range(32)), epoch="1s", signing="sync")
        self.good_in_next_epoch(clients.context(clients.TLS13), 1)

    def good_in_next_epoch(self, tls, epoch):
        """Once in a few tries: a loaded machine may need more than an epoch. The session."""
        for _ in range(5):
            time.sleep(epoch - time.time() % epoch + epoch / 10)  # into an epoch
            _, session = self.resumed(tls, None)
            time.sleep(epoch)
            if self.resumed(tls, session)[0]:
                return session
        self.fail("no ticket was good in the next epoch")

    def test_after_a_restart(self):
        tls = clients.context(clients.TLS13)
        self.start_sharing(bytes(range(32)))
        _, session = self.resumed(tls, None)
        self.programs.remove(self.proxy)
        self.assertEqual(self.proxy.stop(), [])
        self.start_sharing(bytes(range(32)))
        self.assertTrue(self.resumed(tls, session)[0])

    def test_rotation(self):
        """A ticket is good in its epoch and the next one, not after; and immured may die meanwhile."""
        tls = clients.context(clients.TLS13)
        epoch = harness.scaled(1, 3)
        self.start_sharing(bytes(range(32)), epoch=f"{epoch}s")
        for turn in range(2):
            session = self.good_in_next_epoch(tls, epoch)
            after = (time.time() // epoch + 1) * epoch
            if turn == 1:
                os.kill(self.proxy.immured(), signal.SIGKILL)
            # The middle of that epoch: a loaded machine may be late to tell a thread that it has begun.
            time.sleep(after + epoch / 2 - time.time())
            self.assertFalse(self.resumed(tls, session)[0])
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="failed"), 0)

    def test_secret_that_is_too_short(self):
        self.start()
        path = os.path.join(self.directory, "short")
        with open(path, "wb") as file:
            file.write(bytes(31))
        self.proxy.write_config(self.proxy.config.replace(
            "threads = 2", f'threads = 2 ticket-secret-file = "{path}"'))
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: "the running configuration goes on" in self.proxy.log(), "the refusal")
        self.assertIn(f"ticket-secret-file: {path}: it has 31 bytes, at least 32 are needed",
                      self.proxy.log())


if __name__ == "__main__":
    harness.main()

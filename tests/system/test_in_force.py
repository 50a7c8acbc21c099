"""The configuration in force stays in force: changed files have no effect until HUP, even if a
process is restarted meanwhile. And a fault of one certificate affects only that certificate."""

import contextlib
import os
import random
import shutil
import signal
import ssl
import time

import backends
import clients
import harness
from certificates import Certificate, certificate


def der(chain):
    with open(chain, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


class InForce(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))

    def copy(self, of, name):
        """Makes separate copies of the files, to be renewed; readable by the serving process."""
        base = os.path.join(self.directory, name)
        self.renew(Certificate(base + ".crt", base + ".key", of.names, of.kind), of)
        return Certificate(base + ".crt", base + ".key", of.names, of.kind)

    @staticmethod
    def renew(files, by):
        """Renews like an ACME client: replaces one file after the other."""
        for to, what in ((files.chain, by.chain), (files.key, by.key)):
            shutil.copy(what, to + ".new")
            os.rename(to + ".new", to)

    def shown(self, name):
        with clients.connect(self.proxy.port, name=name) as connection:
            clients.echo_once(connection)
            return connection.getpeercert(binary_form=True)

    def kill(self, which):
        pid = which()
        os.kill(pid, signal.SIGKILL)
        harness.wait_until(lambda: which() not in (0, pid), "another one")

    def reload(self):
        before = self.proxy.log().count("is in force")
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")

    def test_renewed_gone_or_broken_on_disk(self):
        first, second = (certificate("p-256", "a.example", serial=serial) for serial in (1, 2))
        other = certificate("p-256", "b.example")
        files = self.copy(first, "a")
        self.proxy = self.start_proxy([files, other], self.backend.address)

        def spoil():
            for path in (files.chain, files.key):
                with open(path, "w", encoding="ascii") as file:
                    file.write("nonsense\n")

        def remove():
            os.unlink(files.chain)
            os.unlink(files.key)

        for change in (lambda: self.renew(files, second), spoil, remove):
            change()
            for which in (self.proxy.worker, self.proxy.immured):
                self.kill(which)
                self.assertEqual(self.shown("a.example"), der(first.chain))
                self.assertEqual(self.shown("b.example"), der(other.chain))
        self.renew(files, second)
        self.reload()
        harness.wait_until(lambda: self.shown("a.example") == der(second.chain), "the new certificate")

    def test_many_renewals_at_random_moments(self):
        """Workers and key processes are killed meanwhile; no name is down for longer than a
        restart."""
        count, renewals, kills = 20, harness.scaled(1000, 100), harness.scaled(12, 4)
        names = [f"n{number}.example" for number in range(count)]
        pairs = {name: [certificate("p-256", name, serial=serial) for serial in (1, 2)] for name in names}
        files = {name: self.copy(pairs[name][0], name) for name in names}
        self.proxy = self.start_proxy(list(files.values()), self.backend.address)
        chance = random.Random(1)
        for turn in range(kills):
            for _ in range(renewals // kills):
                name = chance.choice(names)
                self.renew(files[name], chance.choice(pairs[name]))
            if turn % 4 == 3:
                self.reload()
            else:
                self.kill(chance.choice((self.proxy.worker, self.proxy.immured)))
            for name in names:
                self.assertIn(self.shown(name), [der(each.chain) for each in pairs[name]])


class OneCertificatesFault(harness.SystemTest):
    """An immured that others reload may lose a key."""

    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.socket = os.path.join(self.directory, "immured.sock")
        self.config = os.path.join(self.directory, "immured.conf")
        self.served = [certificate("p-256", "a.example"), certificate("p-256", "b.example")]

    def write(self, *keys):
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f'listen = "{self.socket}"\nthreads = 1\n')
            for number, each in enumerate(keys):
                file.write(f'key "key{number}" {{ file = "{each.key}" }}\n')

    def hup(self, *keys):
        self.write(*keys)
        before = self.immured.log().count(" serves")
        self.immured.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.immured.log().count(" serves") > before, "immured's reload")

    def shown(self, name):
        with clients.connect(self.proxy.port, name=name) as connection:
            clients.echo_once(connection)
            return connection.getpeercert(binary_form=True)

    def without_key(self):
        with contextlib.suppress(OSError):
            return {os.path.basename(row["file"]) for row in self.proxy.status()["certificates"]
                    if "no-key" in row["problems"]}
        return None

    def test_a_key_that_immured_has_no_more(self):
        self.write(*self.served)
        self.immured = self.start_program("immured", "--config", self.config)
        harness.wait_until(lambda: " serves" in self.immured.log(), "immured to serve")
        self.proxy = self.start_proxy(self.served, self.backend.address, keys=f'socket = "{self.socket}"')
        lost = os.path.basename(self.served[1].chain)
        self.assertEqual(self.without_key(), set())
        self.hup(self.served[0])
        harness.wait_until(lambda: self.without_key() == {lost}, "the gauge")
        self.assertIn(f"immured holds no private key for {self.served[1].chain}", self.proxy.log())
        for _ in range(2):
            self.assertEqual(self.shown("a.example"), der(self.served[0].chain))
            with self.assertRaises(OSError):
                self.shown("b.example")
            worker = self.proxy.worker()
            os.kill(worker, signal.SIGKILL)
            harness.wait_until(lambda worker=worker: self.proxy.worker() not in (0, worker), "a worker")
        harness.wait_until(lambda: self.without_key() == {lost}, "the gauge of the new worker")
        time.sleep(1)  # an immured that is younger than the one before it was
        self.hup(*self.served)
        harness.wait_until(lambda: self.without_key() == set(), "the gauge to fall")
        self.assertIn(f"immured holds a private key for {self.served[1].chain}", self.proxy.log())
        self.assertEqual(self.shown("b.example"), der(self.served[1].chain))


if __name__ == "__main__":
    harness.main()

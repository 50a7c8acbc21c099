"""What every server must show that has its keys in immured, as the guide about it says."""

import contextlib
import os
import threading
import time

import clients
import harness
from certificates import certificate
from dropin import PATIENCE, SITE, TIMEOUT, VERSIONS


class Load:
    """Threads that do one exchange after another until stopped."""

    def __init__(self, exchange, threads=4):
        self.exchange = exchange
        self.done, self.failures, self.stopping = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(VERSIONS[each % 2],), daemon=True)
                        for each in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, version):
        while not self.stopping:
            try:
                self.exchange(version)
                with self.lock:
                    self.done += 1
            except (OSError, AssertionError) as error:
                with self.lock:
                    self.failures.append(repr(error))
                time.sleep(0.05)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(harness.LIMIT)


def set_up_nginx(test):
    """Debian's configuration with two workers, and without its first site: the machine has only one port
    80. The command that nginx is started with."""
    test.copy_etc("nginx", ("/etc/nginx/nginx.conf", "worker_processes auto", "worker_processes 2"))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(test.path_of("/etc/nginx/sites-enabled/default"))
    test.write("/var/log/nginx/error.log", "")
    config = test.path_of("/etc/nginx/nginx.conf")
    test.table["nginx -t"] = f"nginx -t -c {config}"
    return ["/usr/sbin/nginx", "-c", config]


class ServerTests:
    """What every server must show. A class of tests has besides DropIn: GUIDE, CERTIFICATE (where the
    guide has it), USER (who asks immured), LOG (the server's), set_up_server() (which makes the unit),
    exchange(TLS version), reload_with(text of a key reference)."""

    UNIT = None  # is called like the guide
    OPTIONAL = ()  # headings in the guide
    SERVED = "served"  # what the guide's last command says
    KEYS_MISMATCH = "key values mismatch"
    DAMAGED = "the key reference is damaged"

    def errors(self):
        """What the server has logged."""
        with open(self.path_of(self.LOG), encoding="utf-8", errors="replace") as file:
            return file.read()

    def server(self, kind, timeout=PATIENCE):
        """Carries out the guide for a key of this kind. The certificate, and what the commands said."""
        self.set_up_server()
        self.set_timeout(timeout)
        made = self.site(kind)
        self.unit = self.units[self.UNIT or self.GUIDE]
        said = self.carry_out(self.GUIDE, without=self.OPTIONAL)
        return made, said

    def assert_guide_works(self, kind):
        made, said = self.server(kind)
        self.assertIn(self.SERVED, said)
        before = self.signatures()
        for version in VERSIONS * 2:
            self.exchange(version)
        self.assertEqual(self.signatures() - before, 4)
        self.assert_reloads()
        self.assert_immured_may_restart()
        self.assert_nowhere(made.key, self.unit.processes())

    def assert_reloads(self):
        old = set(self.unit.processes()) - {self.unit.program.pid}
        self.unit.reload()
        harness.wait_until(lambda: not old & set(self.unit.processes()), "new workers")
        for version in VERSIONS:
            self.exchange(version)

    def assert_immured_may_restart(self):
        """Under load, and no exchange fails."""
        load = Load(self.exchange)
        for _ in range(2):
            done = load.done
            self.units["immured"].restart()
            harness.wait_until(lambda: load.done > done + 20, "exchanges after the restart")
        load.stop()
        self.assertEqual(load.failures, [])

    def test_rsa(self):
        self.assert_guide_works("rsa-2048")

    def test_p256(self):
        self.assert_guide_works("p-256")

    def test_immured_is_away(self):
        self.server("p-256", TIMEOUT)
        harness.wait_until(self.is_served, "the first exchange")
        self.units["immured"].stop()
        for version in VERSIONS:
            harness.assert_within(TIMEOUT + 1, lambda version=version: harness.seconds_of(
                self.assertRaises, OSError, self.exchange, version))
        self.assert_logged("no connection to immured")
        self.units["immured"].start()
        harness.wait_until(self.is_served, "recovery")

    def is_served(self):
        try:
            self.exchange(clients.TLS13)
            return True
        except OSError:
            return False

    def assert_logged(self, text):
        """One line of the server's log says so."""
        harness.wait_until(lambda: text in self.errors(), lambda: f"{text!r} in {self.errors()}")

    def refused_with(self, text):
        self.units["immured"].restart()
        self.assertRaises(OSError, self.exchange, clients.TLS13)
        self.assert_logged(text)

    def test_errors_of_immured(self):
        made, _ = self.server("p-256")
        config = "/etc/immure/immured.conf"
        key = (f'file = "{self.path_of("/etc/immure/example.org.key")}"', f'file = "{made.key}"')
        self.edit(config, (key[0], key[0] + " policy = tls-client"))
        self.refused_with("the key's policy does not allow it")
        self.edit(config, (" policy = tls-client", ""), (key[0], f'file = "{certificate("p-256").key}"'))
        self.refused_with("immured does not have this key")
        self.edit(config, (f'file = "{certificate("p-256").key}"', key[0]), (self.USER, "nobody"))
        self.refused_with("immured does not serve this user")
        self.edit(config, ('{"nobody"}', f'{{"{self.USER}"}}'))
        self.units["immured"].restart()
        self.exchange(clients.TLS13)

    def test_wrong_references(self):
        """At a reload the server goes on as it was, and says what is wrong."""
        self.server("p-256")
        lines = self.reference().splitlines(keepends=True)
        for reference, text in ((self.reference(serial=2), self.KEYS_MISMATCH),
                                ("".join(lines[:2] + lines[3:]), self.DAMAGED)):
            with self.subTest(text):
                self.reload_with(reference)
                self.assert_logged(text)
                self.assert_goes_on()

    def assert_goes_on(self):
        self.exchange(clients.TLS13)

    def reference(self, serial=1):
        other = certificate("p-256", SITE, serial=serial)
        return self.shell(self.substitute(f"immure key reference --certificate {other.chain}"))


class Https:
    def exchange(self, version):
        with clients.connect(self.port, self.trusted[version], SITE) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode())
            reply = b""
            while more := connection.recv(65536):
                reply += more
        if b"served" not in reply:
            raise AssertionError(repr(reply))


class HttpsServerTests(Https, ServerTests):
    """Those of a server that answers with a page."""

"""Host names of backends: a separate process looks them up, again and again; addresses are tried in
order; and nothing waits for a name server that does not answer."""

import os
import shutil
import signal
import socket
import tempfile
import time
import unittest

import backends
import clients
import harness
import name_server
import proc
from certificates import certificate

directory = None


def setUpModule():
    global directory
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise unittest.SkipTest("needs root, for a network of its own")
    directory = tempfile.mkdtemp(prefix="immure-names-")
    name_server.become_the_system(directory, "127.0.0.1 localhost\n::1 localhost\n")


def tearDownModule():
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


class Names(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.one = self.own(backends.Backend(self.saying(b"one")))
        self.names = self.own(name_server.NameServer(app=["127.0.0.1"]))

    @staticmethod
    def saying(what):
        def handler(connection):
            connection.recv(100)
            connection.sendall(what)
        return handler

    def port(self, backend):
        return int(str(backend.address).rsplit(":", 1)[1])

    def start(self, host="app", port=None, **options):
        self.proxy = self.start_proxy([certificate("p-256")], f"{host}:{port or self.port(self.one)}",
                                      **options)

    def served(self):
        with clients.connect(self.proxy.port) as connection:
            connection.sendall(b"who")
            return connection.recv(100)

    def refused_to_start(self, host):
        port, admin = harness.free_port(), harness.free_port()
        proxy = harness.Proxy(self.directory, harness.proxy_config(
            port, admin, [certificate("p-256")], f"{host}:1"), port, admin)
        proxy.expected_status = 1
        self.programs.append(proxy)
        harness.wait_until(lambda: proxy.process.poll() is not None, "its end")
        return proxy.log()

    def test_a_name(self):
        self.start()
        self.assertEqual(self.served(), b"one")

    def test_hosts_file_and_all_addresses_in_order(self):
        """::1 comes first, and nobody listens there."""
        self.start("localhost")
        self.assertEqual(self.served(), b"one")

    def test_addresses_that_refuse_or_keep_silent_are_passed_over(self):
        self.names.addresses["app"] = ["127.0.0.9", "127.0.0.1"]
        self.start()
        for _ in range(4):
            self.assertEqual(self.served(), b"one")
        self.assertEqual(self.proxy.metric("immure_backend_errors_total"), 0)

    @harness.needs_root("its /proc is root's")
    def test_the_resolver_has_none_of_the_memory_that_workers_count_in(self):
        self.start()

        def shared(pid):
            return [line for line in proc.read(pid, "maps").splitlines() if line.split()[1] == "rw-s"]
        self.assertEqual(len(shared(self.proxy.worker())), 1)
        self.assertEqual(shared(self.resolver()), [])

    def test_other_addresses_after_a_time(self):
        other = self.own(socket.create_server(("127.0.0.2", self.port(self.one))))
        self.start()
        self.assertEqual(self.served(), b"one")
        worker = self.proxy.worker()
        self.names.addresses["app"] = ["127.0.0.2"]
        other.settimeout(harness.LIMIT)
        harness.wait_until(lambda: "has other addresses now" in self.proxy.log(), "the new address")

        with clients.connect(self.proxy.port):
            taken, _ = other.accept()
            taken.close()
        self.assertEqual(self.proxy.worker(), worker)

    def test_more_other_addresses_than_the_worker_reads_at_once(self):
        """No change is lost while the worker is busy with something else."""
        names = [f"app-{number}" for number in range(120)]
        made, admin = certificate("p-256"), harness.free_port()
        ports = [harness.free_port() for _ in names]
        self.names.addresses.update({name: ["127.0.0.9"] for name in names})
        self.proxy = self.start_proxy_with("workers = 1\n" + "".join(f'''
            frontend "{name}" {{ listen = {{ "127.0.0.1:{port}" }} backend = "{name}"
                certificate {{ chain = "{made.chain}" key = "{made.key}" }} }}
            backend "{name}" {{ address = "{name}:{self.port(self.one)}" }}'''
            for name, port in zip(names, ports)) + f'''
            admin {{ listen = "127.0.0.1:{admin}" }}
            keys {{ threads = 1 }}''', ports[0], admin)
        worker = self.proxy.worker()
        proc.stop(worker)
        try:
            self.names.addresses.update({name: ["127.0.0.1"] for name in names})
            harness.wait_until(lambda: self.proxy.log().count("has other addresses now") == len(names),
                               "the new addresses")
        finally:
            os.kill(worker, signal.SIGCONT)

        for self.proxy.port in ports:
            harness.wait_until(lambda: self.served() == b"one", "the server at the new address")

    def test_names_that_are_not_there(self):
        for host, why in (("absent", "there is no such name"), ("six", None)):
            self.names.addresses["six"] = []
            with self.subTest(host=host):
                said = self.refused_to_start(host)
                self.assertRegex(said, rf"\.conf:\d+: backend \"app\": address: '{host}': "
                                       + (why or "(the name has no address|there is no such name)"))

    def test_a_silent_name_server_at_start(self):
        self.names.silent = True
        self.assertIn("backend \"app\": address: 'app': the name servers do not answer", self.refused_to_start("app"))

    def test_hup_and_a_silent_name_server(self):
        """Known names keep their addresses; immured, killed meanwhile, is replaced at once."""
        self.start()
        self.assertEqual(self.served(), b"one")
        self.names.silent = True
        good = self.proxy.config
        self.proxy.write_config(good + 'backend "new" { address = "unheard:1" }\n')
        serving = self.key_processes()
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.key_processes() - serving, "the immured that is to come")
        pending = self.key_processes() - serving

        def handshake_after_a_death():
            for pid in harness.wait_until(lambda: self.key_processes() - pending, "an immured"):
                os.kill(pid, signal.SIGKILL)
            begun = time.monotonic()
            self.assertEqual(self.served(), b"one")
            return time.monotonic() - begun

        harness.assert_within(harness.scaled(1, 3), handshake_after_a_death)
        harness.wait_until(lambda: "backend \"new\": address: 'unheard': the name servers do not answer"
                           in self.proxy.log(), "the refusal")
        self.assertIn("the running configuration goes on", self.proxy.log())
        # the same names as before: nothing is waited for
        self.proxy.write_config(good + "# no change\n")
        before = self.proxy.log().count("is in force")
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")
        self.assertEqual(self.served(), b"one")

    def test_a_resolver_that_dies(self):
        self.start()
        self.assertEqual(self.served(), b"one")
        before = self.names.asked
        resolver = self.resolver()
        os.kill(resolver, signal.SIGKILL)
        harness.wait_until(lambda: self.resolver() not in (0, resolver), "another resolver")
        harness.wait_until(lambda: self.names.asked > before, "a question of it")
        self.assertEqual(self.served(), b"one")

    def test_a_resolver_that_hangs_ends_with_the_others(self):
        self.start()
        resolver = self.resolver()
        proc.stop(resolver)
        self.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.proxy.wait(), 0)
        harness.wait_until(lambda: not proc.alive(resolver), "the resolver's end")

    def key_processes(self):
        return {pid for pid in proc.children(self.proxy.pid) if proc.program(pid).startswith("immured")}

    def resolver(self):
        return self.proxy.titled("immure-proxy: resolver")


if __name__ == "__main__":
    harness.main()

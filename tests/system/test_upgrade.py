"""USR2: a new immure-proxy takes over the sockets of the running one, or the running one goes on."""

import os
import re
import shutil
import signal
import socket
from unittest import mock

import backends
import clients
import harness
import proc
from certificates import certificate

PROGRAMS = ("immure-proxy", "immured")


class Upgrade(harness.SystemTest):
    """The programs are copies, so that a test can put others in their place."""

    def setUp(self):
        super().setUp()
        self.bin = os.path.join(self.directory, "bin")
        os.mkdir(self.bin)
        for name in PROGRAMS:
            shutil.copy(harness.program_path(name), os.path.join(self.bin, name))
        patch = mock.patch.object(harness, "BIN", self.bin)
        patch.start()
        self.addCleanup(patch.stop)
        self.backend = self.own(backends.Backend(backends.echo))
        self.certificate = certificate("p-256")

    def start(self, **options):
        self.proxy = self.start_proxy([self.certificate], self.backend.address, **options)
        self.master = self.proxy.pid
        return self.proxy

    def said(self, text):
        return len(re.findall(text, self.proxy.log()))

    def replace(self, name, text):
        """Replaces the program at this path, as a package manager does."""
        path = os.path.join(self.bin, name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def newest_master(self):
        return max((pid for pid in proc.children(self.master)
                    if proc.title(pid).startswith("immure-proxy: master")), default=0)

    def upgrade(self):
        """USR2, until the new master serves. Returns the master that was."""
        before, old = self.said("is in force"), self.master
        os.kill(old, signal.SIGUSR2)
        self.master = harness.wait_until(self.newest_master, "a new master")
        self.addCleanup(self.end_master, self.master)
        harness.wait_until(lambda: self.said("is in force") > before, "the new master to serve")
        return old

    def end_master(self, pid):
        if proc.alive(pid):
            os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not proc.alive(pid), f"the end of master {pid}")

    def refused(self, reason):
        """USR2, which fails for this reason; nothing may have changed."""
        others = proc.children(self.master)
        established = self.own(clients.connect(self.proxy.port))
        os.kill(self.master, signal.SIGUSR2)
        harness.wait_until(lambda: self.said("; this one goes on"), "the refusal")
        self.assertRegex(self.proxy.log(), reason)
        self.assertEqual(self.said("the upgrade failed"), 1)
        harness.wait_until(lambda: proc.children(self.master) == others, "only the old processes")
        clients.echo_once(established)
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)

    def test_under_load(self):
        self.start()
        tls = clients.context(clients.TLS12)
        established = self.own(clients.connect(self.proxy.port, tls))
        clients.echo_once(established)
        loads = [clients.HandshakeLoad(self.proxy.port, 3, version)
                 for version in (clients.TLS12, clients.TLS13)]
        masters = []
        for _ in range(3):
            done = sum(load.done for load in loads)
            harness.wait_until(lambda done=done: sum(load.done for load in loads) > done + 20,
                               "handshakes under way")
            masters.append(self.upgrade())
            clients.echo_once(established)
        done = sum(load.done for load in loads)
        harness.wait_until(lambda: sum(load.done for load in loads) > done + 20, "handshakes at the end")
        for load in loads:
            load.stop()
        self.assertEqual([failure for load in loads for failure in load.failures], [])
        self.assertTrue(proc.alive(masters[0]), "it still has an established connection")
        with clients.connect(self.proxy.port, tls, session=established.session) as connection:
            self.assertTrue(connection.session_reused, "ticket keys are handed over")
        established.close()
        for master in masters:
            harness.wait_until(lambda master=master: not proc.alive(master), "the old master's end")
        self.assertTrue(proc.alive(self.master))
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)

    def test_new_configuration(self):
        """An address comes and an address goes, and with it its socket."""
        proxy = self.start()
        gone, come = harness.free_port(), harness.free_port()
        plain = proxy.config
        proxy.write_config(plain.replace(f'"127.0.0.1:{proxy.port}"',
                                         f'"127.0.0.1:{proxy.port}", "127.0.0.1:{gone}"'))
        self.upgrade()
        clients.connect(gone).close()
        proxy.write_config(plain.replace(f'"127.0.0.1:{proxy.port}"',
                                         f'"127.0.0.1:{proxy.port}", "127.0.0.1:{come}"'))
        self.upgrade()
        clients.connect(come).close()
        harness.wait_until(lambda: clients.refused(gone), "nobody to listen there")
        self.assertEqual(proxy.metric("immure_handshakes_total", result="failed"), 0)

    def test_unix_socket(self):
        path = os.path.join(self.directory, "front.sock")
        port, admin_port = harness.free_port(), harness.free_port()
        text = harness.proxy_config(port, admin_port, [self.certificate], self.backend.address)
        self.proxy = self.start_proxy_with(
            text.replace(f'"127.0.0.1:{port}"', f'"127.0.0.1:{port}", "unix:{path}"'),
            port, admin_port)
        self.master = self.proxy.pid
        old = self.upgrade()
        harness.wait_until(lambda: not proc.alive(old), "the old master's end")
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(harness.LIMIT)
            plain.connect(path)
            with clients.context().wrap_socket(plain, server_hostname="localhost") as connection:
                clients.echo_once(connection)
        self.end_master(self.master)
        self.assertFalse(os.path.exists(path))

    def test_new_program_that_fails(self):
        self.start()
        self.replace("immure-proxy", "#!/bin/sh\nexit 3\n")
        self.refused(r"the upgrade failed: the new master \(pid \d+\) ended with status 3; "
                     "this one goes on")

    def test_new_program_that_is_none(self):
        self.start()
        self.replace("immure-proxy", "")
        os.unlink(os.path.join(self.bin, "immure-proxy"))
        self.refused("immure-proxy: No such file or directory")

    def test_new_immured_that_fails(self):
        self.start()
        self.replace("immured", "#!/bin/sh\nexit 3\n")
        self.refused(r"its immured \(pid \d+\) ended with status 3")

    def test_new_configuration_that_is_bad(self):
        proxy = self.start()
        proxy.write_config(proxy.config + "no-such-directive = 1\n")
        self.refused("no-such-directive")

    def test_service_manager_hears_of_the_new_master(self):
        path = os.path.join(self.directory, "notify")
        manager = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(path)
        manager.settimeout(harness.LIMIT)

        def hear():
            return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())

        with mock.patch.dict(os.environ, NOTIFY_SOCKET=path):
            self.start()
        self.assertEqual(hear()["READY"], "1")
        self.upgrade()
        self.assertEqual(hear()["RELOADING"], "1")
        self.assertEqual(hear(), {"READY": "1", "MAINPID": str(self.master)})
        self.assertIn("signing async", hear()["STATUS"])
        self.end_master(self.master)
        self.assertEqual(hear(), {"STOPPING": "1"})

    def test_terminated_while_a_new_one_comes_up(self):
        proxy = self.start()
        self.replace("immure-proxy", "#!/bin/sh\nexec sleep 60\n")
        proxy.signal(signal.SIGUSR2)
        harness.wait_until(lambda: any(proc.program(pid) == "sleep" for pid in proc.children(proxy.pid)),
                           "the program that hangs")
        proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.said("HUP is not followed"), "that line")
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)


if __name__ == "__main__":
    harness.main()

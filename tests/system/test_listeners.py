"""unix: listeners have a mode, an owner and a group; sockets of a service manager are served by name."""

import grp
import os
import pwd
import signal
import socket
import stat
import sys

import backends
import clients
import harness
from certificates import certificate


def tls_over(raw):
    raw.settimeout(harness.LIMIT)
    return clients.context().wrap_socket(raw, server_hostname="localhost")


def echo_at(path):
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(path)
    with tls_over(raw) as connection:
        clients.echo_once(connection)


class Listeners(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))

    def config(self, listen, admin, **options):
        text = harness.proxy_config(1, admin, [certificate("p-256")], self.backend.address, **options)
        return text.replace('"127.0.0.1:1"', ", ".join(f'"{each}"' for each in listen))

    def reload(self):
        before = self.proxy.log().count("is in force")
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")
        harness.wait_until(self.proxy.ready, "the admin page of the new worker")


class UnixListeners(Listeners):
    def start(self, frontend=""):
        admin = harness.free_port()
        self.path = os.path.join(self.directory, "front.sock")
        self.proxy = self.start_proxy_with(
            self.config([f"unix:{self.path}"], admin, frontend=frontend), 0, admin)

    def permissions(self):
        return stat.S_IMODE(os.stat(self.path).st_mode)

    def test_mode(self):
        before = os.umask(0o077)
        try:
            self.start()
        finally:
            os.umask(before)
        self.assertEqual(self.permissions(), 0o666)
        echo_at(self.path)
        self.proxy.write_config(self.proxy.config.replace(
            'backend = "app"', 'backend = "app"  socket-mode = 0600', 1))
        self.reload()
        harness.wait_until(lambda: self.permissions() == 0o600, "the new mode")
        echo_at(self.path)

    @harness.needs_root("gives a file to another user")
    def test_owner(self):
        self.start('socket-mode = 0640 socket-user = "nobody" socket-group = "daemon"')
        file = os.stat(self.path)
        self.assertEqual((self.permissions(), file.st_uid, file.st_gid),
                         (0o640, pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid))
        echo_at(self.path)

    def test_removed_file_is_made_again(self):
        self.start()
        os.unlink(self.path)
        self.reload()
        echo_at(self.path)
        self.reload()
        echo_at(self.path)
        self.proxy.stop()
        self.assertFalse(os.path.lexists(self.path))

    def test_file_of_somebody_else_is_left_alone(self):
        self.start()
        other = os.path.join(self.directory, "other")
        with open(other, "w", encoding="ascii"):
            os.chmod(other, 0o600)
        os.unlink(self.path)
        os.symlink(other, self.path)
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: "the running configuration goes on" in self.proxy.log(), "the refusal")
        self.assertIn(f"cannot listen on unix:{self.path}: Address already in use", self.proxy.log())
        self.proxy.stop()
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(stat.S_IMODE(os.stat(other).st_mode), 0o600)

    def test_mistakes(self):
        self.start()
        for directive, text in {
                "socket-mode = 0999": "socket-mode must be 0 to 0777, octal, not '0999'",
                'socket-user = "no-such-user"': "socket-user: /etc/passwd has no 'no-such-user'",
                'socket-group = "no-such-group"': "socket-group: /etc/group has no 'no-such-group'"}.items():
            with self.subTest(directive=directive):
                said = self.proxy.log().count("the running configuration goes on")
                good = self.proxy.config
                self.proxy.write_config(good.replace('backend = "app"', f'backend = "app" {directive}', 1))
                self.proxy.signal(signal.SIGHUP)
                harness.wait_until(lambda: self.proxy.log().count("the running configuration goes on") > said,
                                   "the refusal")
                self.assertIn(text, self.proxy.log())
                self.proxy.write_config(good)
        echo_at(self.path)


# subprocess has no hook between fork and exec where the pid is known and the environment can still
# be changed. So this program plays the service manager.
MANAGER = """
import os, sys
names, sockets, program = sys.argv[1], [int(each) for each in sys.argv[2].split(",")], sys.argv[3:]
kept = [os.dup2(each, 100 + i) for i, each in enumerate(sockets)]
for i, each in enumerate(kept):
    os.dup2(each, 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES=names)
os.execv(program[0], program)
"""


class Activation(Listeners):
    def listening(self, family, address):
        made = self.own(socket.socket(family))
        made.bind(address)
        made.listen()
        return made

    def start(self, names, sockets, listen, **options):
        admin = harness.free_port()
        manager = os.path.join(self.directory, "manager.py")
        with open(manager, "w", encoding="ascii") as file:
            file.write(MANAGER)
        config = self.config(listen, admin, **options)
        numbers = [each.fileno() for each in sockets]
        self.proxy = harness.Proxy(
            self.directory, config, 0, admin, pass_fds=numbers,
            starter=[sys.executable, manager, ":".join(names), ",".join(map(str, numbers))])
        self.programs.append(self.proxy)
        return self.proxy

    def test_several_by_name(self):
        one = self.listening(socket.AF_INET, ("127.0.0.1", 0))
        path = os.path.join(self.directory, "two.sock")
        two = self.listening(socket.AF_UNIX, path)
        self.start(["one", "two"], [one, two], ["systemd:one", "systemd:two"], workers=3)
        harness.wait_until(self.proxy.ready, "immure-proxy's admin page")

        def serves():
            for _ in range(6):
                with clients.connect(one.getsockname()[1]) as connection:
                    clients.echo_once(connection)
                echo_at(path)

        serves()
        self.reload()
        serves()
        # the socket of the service manager outlives the service, and its queue keeps who comes
        self.programs.remove(self.proxy)
        self.assertEqual(self.proxy.stop(), [])
        waiting = self.own(socket.create_connection(one.getsockname(), timeout=harness.LIMIT))
        self.start(["one", "two"], [one, two], ["systemd:one", "systemd:two"])
        with tls_over(waiting) as connection:
            clients.echo_once(connection)

    def test_upgrade(self):
        one = self.listening(socket.AF_INET, ("127.0.0.1", 0))
        self.start(["one"], [one], ["systemd:one"])
        harness.wait_until(self.proxy.ready, "immure-proxy's admin page")
        self.proxy.signal(signal.SIGUSR2)
        harness.wait_until(lambda: self.proxy.log().count("is in force") == 2, "the new master to serve")
        newest = int(self.proxy.log().split("is in force: worker pid ")[2].split(",")[0])
        with open(f"/proc/{newest}/stat", encoding="ascii") as file:
            master = int(file.read().rsplit(")", 1)[1].split()[1])
        self.addCleanup(lambda: harness.wait_until(lambda: not os.path.exists(f"/proc/{master}"), "its end"))
        self.addCleanup(os.kill, master, signal.SIGTERM)
        for _ in range(4):
            with clients.connect(one.getsockname()[1]) as connection:
                clients.echo_once(connection)
        os.kill(master, signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") == 3, "the reload")
        with clients.connect(one.getsockname()[1]) as connection:
            clients.echo_once(connection)

    def refusal(self, names, sockets, listen):
        proxy = self.start(names, sockets, listen)
        proxy.expected_status = 1
        harness.wait_until(lambda: proxy.process.poll() is not None, "its end")
        return proxy.log()

    def test_names_that_cannot_be_served(self):
        one = self.listening(socket.AF_INET, ("127.0.0.1", 0))
        self.assertIn("cannot listen on systemd:other: the service manager has passed no socket of this name",
                      self.refusal(["one"], [one], ["systemd:other"]))
        two = self.listening(socket.AF_INET, ("127.0.0.1", 0))
        self.assertIn("has passed several sockets of this name; give each its FileDescriptorName=",
                      self.refusal(["same", "same"], [one, two], ["systemd:same"]))
        datagrams = self.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.assertIn("LISTEN_FDS: descriptor 3 (one) is not a listening stream socket",
                      self.refusal(["one"], [datagrams], ["systemd:one"]))


if __name__ == "__main__":
    harness.main()

"""The tests that every server with its keys in immured must pass, set up as its guide says."""

import contextlib
import glob
import os
import re
import socket
import subprocess

import clients
import harness
import proc
from certificates import certificate
from dropin import PATIENCE, SITE, TIMEOUT, VERSIONS

# The first command fails if / is not a mount point (in a chroot), where nothing propagates anyway.
MOUNTED = ('mount --make-rprivate / 2>/dev/null || :; '
           'mkdir -p "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"')


class Load(clients.Load):
    """Does one exchange after another."""

    def __init__(self, exchange, threads=4):
        self.exchange = exchange
        super().__init__(threads)

    def once(self, number):
        self.exchange(VERSIONS[number % 2])


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


def expect(connection, reply):
    """Receives until this text has arrived. Returns everything received."""
    received = b""
    while reply not in received:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"expected {reply!r}, got {received!r}")
        received += more
    return received


class Exchange:
    """One connection with a request and its reply. A class for a protocol that starts in the clear
    overrides before_tls()."""

    SENT = REPLY = b""

    def before_tls(self, raw):
        """STARTTLS, or the protocol's equivalent."""

    def exchange(self, version):
        with socket.create_connection(("127.0.0.1", self.port), timeout=harness.LIMIT) as raw:
            self.before_tls(raw)
            with self.trusted[version].wrap_socket(raw, server_hostname=SITE) as connection:
                connection.sendall(self.SENT)
                expect(connection, self.REPLY)


class Https(Exchange):
    SENT = f"GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode()
    REPLY = b"served"


class ServerTests(Exchange):
    """The tests for every server. In addition to DropIn, a class of tests defines GUIDE,
    CERTIFICATE (its path in the guide), USER (immured's client), set_up_server() (which makes the
    unit), SENT and REPLY."""

    refusal = ""  # the output of the command that failed to reload it
    UNIT = None  # the default is the guide's name
    LOG = None  # in addition to the standard error of the unit's program
    OPTIONAL = ()  # headings in the guide
    SERVED = "served"  # the output of the guide's last command
    KEYS_MISMATCH = "key values mismatch"
    DAMAGED = "the key reference is damaged"
    WORKERS = ""  # part of the titles of the processes that a reload replaces; None: it replaces none
    RELOADED = None  # what it logs when it has reloaded
    ENDS = None  # its exit status if it cannot load its key at a reload

    def errors(self):
        """The server's log."""
        said = self.unit.program.log() + self.refusal
        if self.LOG is not None:
            with open(self.path_of(self.LOG), encoding="utf-8", errors="replace") as file:
                said += file.read()
        return said

    def server(self, kind, timeout=PATIENCE):
        """Carries out the guide for a key of this kind. Returns the certificate and the commands'
        output."""
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
        self.assert_only_copy(f"/etc/immure/{SITE}.key", self.USER)

    def assert_reloads(self):
        old = self.workers()
        said = self.errors().count(self.RELOADED) if self.RELOADED else 0
        self.unit.reload()
        harness.wait_until(lambda: not old & self.workers(), "new workers")
        if self.RELOADED:
            harness.wait_until(lambda: self.errors().count(self.RELOADED) > said, self.RELOADED)
        for version in VERSIONS:
            self.exchange(version)

    def workers(self):
        """The processes that a reload replaces."""
        if self.WORKERS is None:
            return set()
        return {pid for pid in self.unit.processes()[1:] if self.WORKERS in proc.title(pid)}

    def assert_immured_may_restart(self):
        """Restarts immured under load; no exchange may fail."""
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
        """Some line of the server's log contains this."""
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
        """At a reload the server reports the error and goes on as before, or exits with ENDS."""
        self.server("p-256")
        lines = self.reference().splitlines(keepends=True)
        for reference, text in ((self.reference(serial=2), self.KEYS_MISMATCH),
                                ("".join(lines[:2] + lines[3:]), self.DAMAGED)):
            with self.subTest(text):
                self.reload_with(reference)
                self.assert_logged(text)
                self.assert_goes_on()

    def test_renewed_certificate(self):
        """After a reload another key and certificate are served, while immured keeps the former key
        too."""
        made, _ = self.server("p-256")
        self.site("p-256", serial=2)
        with open(self.path_of("/etc/immure/immured.conf"), "a", encoding="ascii") as file:
            file.write(f'key "former" {{ file = "{made.key}" }}\n')
        self.units["immured"].restart()
        self.install(self.reference(serial=2))
        self.unit.reload()
        harness.wait_until(lambda: self.is_served() and self.unit.ready(), "the new certificate")

    def install(self, reference):
        """Puts this reference where the server looks for its key."""
        self.write(self.reference_path(), reference)

    def reload_with(self, reference):
        self.install(reference)
        try:
            self.unit.reload()
        except AssertionError as reason:
            self.refusal = str(reason)

    def reference_path(self):
        return self.CERTIFICATE.replace(".crt", ".ref")

    def assert_goes_on(self):
        if self.ENDS is not None:
            self.unit.program.expected_status = self.ENDS
            self.unit.program.wait()
            self.install(self.reference())
            self.unit.start()
        self.exchange(clients.TLS13)

    def reference(self, serial=1):
        other = certificate("p-256", SITE, serial=serial)
        return self.shell(self.substitute(f"immure key reference --certificate {other.chain}"))


class ChrootServerTests(ServerTests):
    """For a server in a chroot (CHROOT), where its unit makes the socket visible."""

    def with_mounts(self, *command):
        """The command as its unit runs it."""
        at = f"{self.CHROOT}/run/"  # the socket's directory in a reference
        self.table[at] = self.path_of(self.CHROOT) + self.path_of("/run/")
        return ["/usr/bin/unshare", "--mount", "--propagation=unchanged", "sh", "-c", MOUNTED, "sh",
                self.path_of("/run/immure"), self.substitute(at + "immure"), *command]

    def test_the_unit_has_these_mounts(self):
        self.set_up_server()
        self.carry_out(self.GUIDE, "The socket in the chroot")
        unit, = glob.glob(self.path_of("/etc/systemd/system/*/immure.conf"))
        with open(unit, encoding="ascii") as file:
            mounts = re.search(r"BindReadOnlyPaths=(\S+):(\S+)", file.read())
        self.assertEqual(list(mounts.groups()), self.units[self.UNIT or self.GUIDE].command[7:9])


class SilentServerTests(ServerTests):
    """For a server that does not log the reason: the operator's tool, run as the server's user,
    tells it."""

    SAYS = ""  # a regular expression for what the server does log
    TOOL_SAYS = {"no connection to immured": "Connection refused|No such file",
                 "immured does not have this key": "immured does not have this key",
                 "immured does not serve this user": "may not use",
                 "the key's policy does not allow it": "TLS 1.3 client"}

    def assert_logged(self, text):
        if text not in self.TOOL_SAYS:
            super().assert_logged(text)
            return
        harness.wait_until(lambda: re.search(self.SAYS, self.errors()),
                           lambda: f"{self.SAYS} in {self.errors()}")
        as_user = f"runuser -u {self.USER} --"
        command = self.substitute(f"{as_user} immure check {self.reference_path()}; "
                                  f"{as_user} immure key test {SITE}")
        done = subprocess.run(["bash", "-c", command], env=self.environment, text=True, capture_output=True,
                              timeout=harness.LIMIT, check=False)
        self.assertRegex(done.stdout + done.stderr, self.TOOL_SAYS[text])


class LateServerTests(ServerTests):
    """For a server that reads its key when the next client connects: only then does it report the
    error, and it serves nobody over TLS."""

    def reload_with(self, reference):
        super().reload_with(reference)
        harness.wait_until(lambda: not self.is_served(), "the end of TLS")

    def assert_goes_on(self):
        """The server serves again as soon as the reference is good."""
        super().reload_with(self.reference())
        harness.wait_until(self.is_served, "TLS")


class HttpsServerTests(Https, ServerTests):
    """For a server that answers with a page."""

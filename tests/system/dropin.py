"""
immure as a drop-in: the guides of docs/guides are followed to the letter on a small copy of the
machine's /etc, with Debian's own, unmodified servers.

A fenced block `sh` of a guide is run by the shell; any other block is added to the end of the file
that the comment in its first line names (a script: in its second). A word of a guide is changed
only as DropIn.table says.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading

import clients
import harness
import keyparts
import proc
from certificates import certificate
from immured import ImmuredTest
from provider import MODULES

GUIDES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/guides")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SITE = "example.org"
VERSIONS = (clients.TLS12, clients.TLS13)
PATIENCE = 20  # seconds that a handshake waits for immured; the default is 5
TIMEOUT = 1  # where immured does not answer

SYSTEMCTL = """\
#!/bin/sh
printf '%s\\n' "$*" >{folder}/asked
read -r status <{folder}/answered
exit "$status"
"""


def family(pid):
    """A process and all its descendants."""
    return [pid] + [each for child in proc.children(pid) for each in family(child)]


def as_user(name):
    """A command prefix that runs a command as this user, in its group."""
    return ["/usr/bin/setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"]


class Unit:
    """A program run like its systemd unit, but in the foreground. It reloads by a signal or a
    call."""

    def __init__(self, test, command, ready, reload=signal.SIGHUP, status=0, **environment):
        self.test, self.command, self.ready = test, command, ready
        self.reload_by, self.status, self.environment = reload, status, environment
        self.program = None

    def running(self):
        return self.program is not None and self.program.running()

    def start(self):
        if not self.running():
            self.program = self.test.start_program(
                *self.command, environment={**self.test.environment, **self.environment})
            self.program.expected_status = self.status
        harness.wait_until(lambda: self.ready() or not self.program.running(), self.program.name)
        self.test.assertTrue(self.program.running(), self.program.log())

    def stop(self):
        self.test.assertEqual(self.program.stop(), [])

    def restart(self):
        if self.program is not None:
            self.stop()
        self.start()

    def reload(self):
        if callable(self.reload_by):
            self.reload_by()
        else:
            self.program.signal(self.reload_by)

    def processes(self):
        return family(self.program.pid)


class Systemctl:
    """A `systemctl` for the shell blocks: it asks the test, which has the units."""

    def __init__(self, folder, units):
        self.units = units
        self.pipes = [os.path.join(folder, name) for name in ("asked", "answered")]
        for path in self.pipes:
            os.mkfifo(path)
        with open(os.path.join(folder, "systemctl"), "w", encoding="ascii") as file:
            file.write(SYSTEMCTL.format(folder=folder))
            os.fchmod(file.fileno(), 0o755)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            with open(self.pipes[0], encoding="ascii") as asked:
                words = asked.read().split()
            if not words:
                return
            status = self.carry_out(words)
            with open(self.pipes[1], "w", encoding="ascii") as answered:
                answered.write(f"{status}\n")

    def carry_out(self, words):
        """systemctl VERB [--now] UNIT; returns its exit status."""
        if words == ["daemon-reload"]:
            return 0
        unit = self.units.get(words[-1].partition(".")[0])
        verb = {"enable": "start"}.get(words[0], words[0])
        if unit is not None and verb == "reload-or-restart":
            verb = "reload" if unit.running() else "start"
        if unit is None or verb not in ("start", "stop", "restart", "reload"):
            return 5
        try:
            getattr(unit, verb)()
            return 0
        except AssertionError:
            return 1

    def close(self):
        with open(self.pipes[0], "w", encoding="ascii"):
            pass
        self.thread.join()


@harness.needs_root("the servers change their user")
@harness.not_sanitized("an unmodified server cannot load a sanitizer's runtime with the module")
class DropIn(ImmuredTest):
    """A copy of the machine on which guides are carried out: /etc, /run and /var below
    self.root."""

    def setUp(self):
        super().setUp()
        self.assertTrue(os.path.exists(os.path.join(MODULES, "immure.so")), "immure.so is not built")
        self.root = os.path.join(self.directory, "root")
        for each in ("bin", "etc/ssl", "etc/immure", "run/immure"):
            os.makedirs(os.path.join(self.root, each))
        shutil.copy("/etc/ssl/openssl.cnf", self.path_of("/etc/ssl/openssl.cnf"))
        self.port = harness.free_port()
        self.socket = self.path_of("/run/immure/immured.sock")
        self.table = {
            "/etc/": self.root + "/etc/",
            "/run/": self.root + "/run/",
            "/var/": self.root + "/var/",
            "443": str(self.port),
            "curl": f"curl -sS --cacert {self.path_of(self.CERTIFICATE)} "
                    f"--connect-to {SITE}:443:127.0.0.1:{self.port}",
            "openssl s_client": f"openssl s_client -CAfile {self.path_of(self.CERTIFICATE)}",
            "immure openssl-config": f"immure openssl-config --module {MODULES}/immure.so",
            **{f"immure {command}": f"immure {command} --socket {self.socket}"
               for command in ("key reference", "key list", "key test", "status")},
        }
        self.environment = dict(
            os.environ, OPENSSL_CONF=self.path_of("/etc/ssl/openssl.cnf"),
            PATH=f"{self.root}/bin:{os.path.abspath(harness.BIN)}:/usr/sbin:{os.environ['PATH']}")
        self.write("/etc/immure/immured.conf", f'listen = "{self.socket}"\nthreads = 1\n')
        immured = Unit(
            self, ["immured", "--config", self.path_of("/etc/immure/immured.conf")],
            lambda: " serves" in immured.program.log())
        self.units = {"immured": immured}
        self.own(Systemctl(os.path.join(self.root, "bin"), self.units))
        self.contexts = {}

    def path_of(self, path):
        return self.root + path

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path_of(path)), exist_ok=True)
        with open(self.path_of(path), "w", encoding="utf-8") as file:
            file.write(text)

    def edit(self, path, *changes):
        """Each change is (old, new); it is an error if the old text is not there."""
        with open(self.path_of(path), encoding="utf-8") as file:
            text = file.read()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.write(path, text)

    def copy_etc(self, name, *changes):
        """Debian's /etc/NAME, whose paths lead to the copy; `changes`: path in it, what, by what."""
        subprocess.run(["cp", "--archive", f"/etc/{name}", self.path_of(f"/etc/{name}")], check=True)
        for folder, _, files in os.walk(self.path_of(f"/etc/{name}")):
            for file in files:
                path = os.path.join(folder, file).removeprefix(self.root)
                if not os.path.islink(self.path_of(path)):
                    self.substitute_in(path)
        for path, old, new in changes:
            self.edit(path, (old, new))

    def substitute_in(self, path):
        with open(self.path_of(path), encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        with open(self.path_of(path), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(self.substitute(text))

    def substitute(self, text):
        words = "|".join(re.escape(word) + r"(?!\w)" * word[-1].isalnum()
                         for word in sorted(self.table, key=len, reverse=True))
        return re.sub(rf"(?<![\w/])(?:{words})", lambda found: self.table[found[0]], text)

    def shell(self, text):
        done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", text], env=self.environment,
                              cwd=self.root, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=harness.LIMIT, check=False)
        self.assertEqual(done.returncode, 0, f"{text}{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def set_timeout(self, seconds):
        self.edit("/etc/ssl/openssl.cnf", ("[openssl_init]\n", f"[immure_sect]\ntimeout = {seconds}s\n\n"
                                           "[openssl_init]\n"))

    def carry_out(self, guide, heading="", without=(), only=""):
        """Carries out the blocks of a guide in order: all but those under some headings, or only
        those under one heading or of one kind. Returns the commands' output."""
        with open(os.path.join(GUIDES, guide + ".md"), encoding="utf-8") as file:
            text = file.read()
        sections = re.split(r"^## (?=.*\n)", text, flags=re.MULTILINE)
        chosen = [each for each in sections if each.startswith(heading) and not each.startswith(without)]
        blocks = [each for each in BLOCK.findall("".join(chosen)) if only in ("", each[0])]
        self.assertTrue(blocks, f"{guide}: no blocks under {heading!r}")
        said = ""
        for kind, block in blocks:
            block = self.substitute(block)
            if kind == "sh":
                said += self.shell(block)
                continue
            path = re.match(r"(?:#!.*\n)?(?:#|//) (\S+)\n", block)
            self.assertTrue(path, f"{guide}: whose file is it?\n{block}")
            os.makedirs(os.path.dirname(path[1]), exist_ok=True)
            with open(path[1], "a", encoding="utf-8") as file:
                file.write(block)
        return said

    # ---- checks of immured and of a server ----

    def signatures(self):
        done = self.shell(self.substitute("immure status --json"))
        return json.loads(done)["figures"]["signatures_total"]

    def accepts(self):
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0

    def site(self, kind, serial=1):
        """Puts a key and a certificate where the guides expect them."""
        made = certificate(kind, SITE, serial=serial)
        shutil.copy(made.key, self.path_of(f"/etc/immure/{SITE}.key"))
        shutil.copy(made.chain, self.path_of(self.CERTIFICATE))
        self.trusted = {version: clients.context(version, made) for version in VERSIONS}
        return made

    def assert_nowhere(self, key_file, processes):
        """No part of the key is in the memory of these processes."""
        wanted = keyparts.needles(key_file)
        for pid in processes:
            try:
                self.assertEqual(keyparts.search(pid, wanted), set(), proc.title(pid))
            except (FileNotFoundError, ProcessLookupError):
                pass  # the process has ended

    def assert_only_copy(self, key, user):
        """The file is root's alone, this user cannot open it, and no other file below the root
        contains a part of it."""
        path = self.path_of(key)
        self.assertEqual((os.stat(path).st_uid, stat.S_IMODE(os.stat(path).st_mode)), (0, 0o600))
        done = subprocess.run([*as_user(user), "cat", path], capture_output=True, check=False)
        self.assertIn(b"Permission denied", done.stderr)
        wanted = [b"PRIVATE KEY-----", *keyparts.needles(path).values()]
        for folder, _, files in os.walk(self.root):
            for other in (os.path.join(folder, file) for file in files):
                if os.path.isfile(other) and not os.path.islink(other) and other != path:
                    with open(other, "rb") as file:
                        text = file.read()
                    self.assertFalse([each for each in wanted if each in text], other)

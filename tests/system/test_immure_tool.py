"""immure, the operator's tool: every command, with an immured, without one, and with a wrong one."""

import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading

import harness
import wire
from fake_immured import FakeImmured
from immured import ImmuredTest, Key, openssl

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
GOOD, FAILED, USAGE, UNREACHABLE, NO_KEY = range(5)


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def chain(key):
    """The file of its certificate."""
    return key.file.removesuffix(".key") + ".crt"


def words(text):
    return " ".join(text.split())


def tlv(tag, content):
    """A DER element."""
    length = len(content)
    if length < 0x80:
        header = bytes([tag, length])
    elif length < 0x100:
        header = bytes([tag, 0x81, length])
    else:
        header = bytes([tag, 0x82, length >> 8, length & 0xFF])
    return header + content


def reference(socket, spki, key_id=None):
    """Makes a key reference independently of the C code."""
    der = tlv(0x30, tlv(2, b"\x01") + tlv(0x0C, socket.encode())
              + tlv(4, wire.key_id(spki) if key_id is None else key_id) + spki)
    text = base64.b64encode(der).decode()
    lines = "".join(text[at:at + 64] + "\n" for at in range(0, len(text), 64))
    return ("-----BEGIN IMMURE KEY REFERENCE-----\n" + lines
            + "-----END IMMURE KEY REFERENCE-----\n")


class ToolTest(ImmuredTest):
    def immure(self, *arguments, status=GOOD, uid=None):
        """Runs it. Returns its standard output or, if it is expected to fail, its one-line error
        message."""
        result = subprocess.run([harness.program_path("immure"), *arguments], text=True, user=uid,
                                stdin=subprocess.DEVNULL, capture_output=True, cwd=self.directory,
                                timeout=harness.LIMIT)
        self.assertIsNone(harness.SANITIZER_REPORT.search(result.stderr), result.stderr)
        self.assertEqual(result.returncode, status,
                         f"{arguments}: {result.stdout}{result.stderr}")
        if status in (GOOD, FAILED) and not result.stderr:
            return result.stdout
        self.assertRegex(result.stderr, r"\Aimmure: [^\n]*\n\Z")
        return result.stderr[len("immure: "):-1]

    def objects(self, *arguments, status=GOOD):
        return [json.loads(line) for line in
                self.immure(*arguments, "--json", status=status).splitlines()]

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start_fake(self, **options):
        self.path = os.path.join(self.directory, "fake.sock")
        return self.own(FakeImmured(self.path, **options))


class CommandLine(ToolTest):
    def commands(self):
        """{name: its operand, or ""}, from the help."""
        rows = re.findall(r"^  ((?:key |certificate |backend )?[a-z-]+)((?: \[?[A-Z]+\]?)*)  +\S.*$", self.immure("--help"), re.M)
        self.assertEqual(len(rows), 18, rows)
        return {name: operand.strip() for name, operand in rows}

    def test_the_manual_says_what_help_says(self):
        manual = read("docs", "immure.md")
        sections = dict(re.findall(r"^### immure (.*)\n\n((?:.+\n)+)", manual, re.M))
        options = {}
        for name, operand in self.commands().items():
            text = self.immure(*name.split(), "--help")
            usage, what, rest = text.split("\n\n")
            self.assertEqual(usage, words(f"usage: immure {name} [OPTION]... {operand}"))
            self.assertEqual(words(sections.pop(words(f"{name} {operand}"))), words(what))
            for option, meaning in re.findall(r"^  (--\S+(?: [A-Z]+)?)  +(.*)$", rest, re.M):
                if option != "--help":
                    options.setdefault((option, meaning), []).append(name)
            self.assertLessEqual(max(map(len, text.splitlines())), 90)
        self.assertEqual(sections, {})
        rows = re.findall(r"^\| `(--.*?)` \| (.*?) \| (.*?) \|$", manual, re.M)
        self.assertEqual({(option, meaning): of.split(", ") for option, of, meaning in rows}, options)

    def test_wrong_command_lines(self):
        names = ", ".join(self.commands())
        for arguments, complaint in (
            (["statsu"], f'there is no command "statsu"; there are: {names}'),
            (["key", "lst"], f'there is no command "key lst"; there are: {names}'),
            (["key"], f'there is no command "key"; there are: {names}'),
            (["status", "now"], 'status: unexpected operand "now"'),
            (["key", "test"], "key test: NAME is missing"),
            (["key", "test", "a", "b"], 'key test: unexpected operand "b"'),
            (["key", "reference"], "key reference: either NAME or --certificate FILE is needed"),
            (["key", "reference", "a", "--certificate", "b"],
             "key reference: either NAME or --certificate FILE is needed"),
            (["check"], "check: FILE is missing"),
            (["certificate"], f'there is no command "certificate"; there are: {names}'),
            (["certificate", "add"], "certificate add: CHAIN is missing"),
            (["certificate", "add", "a", "b", "c"], 'certificate add: unexpected operand "c"'),
            (["certificate", "replace", "a"], "certificate replace: CHAIN is missing"),
            (["certificate", "list", "a", "b"], 'certificate list: unexpected operand "b"'),
            (["certificate", "list", "--socket", "x"], "certificate list does not take --socket"),
            (["status", "--verbose"], "--verbose: there is no such option"),
            (["status", "-qv"], "-q: there is no such option"),
            (["status", "--json=yes"], "--json=yes: there is no such option"),
            (["status", "--certificate", "x"], "status does not take --certificate"),
            (["status", "--socket"], "--socket: its argument is missing"),
            (["status", "--timeout", "5"], '--timeout: "5" is not a valid TIME'),
            (["top", "--count", "0"], '--count: "0" is not a valid N'),
            (["top", "--count", "-1"], '--count: "-1" is not a valid N'),
            (["openssl-config", "--module", "immure.so"],
             '--module: "immure.so" is not an absolute path that openssl.cnf can hold'),
            (["openssl-config", "--name", "a b"], '--name: "a b" is not a valid NAME'),
            (["status", "--into", "x"], "status does not take --into"),
        ):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.immure(*arguments, status=USAGE), complaint)
        alone = subprocess.run([harness.program_path("immure")], capture_output=True, text=True,
                               timeout=harness.LIMIT)
        self.assertEqual((alone.returncode, alone.stdout, alone.stderr),
                         (USAGE, "", self.immure("--help")))
        self.assertRegex(self.immure("--version"), r"\Aimmure \d+\.\d+\.\d+\n\Z")

    def test_the_socket_is_that_of_the_service(self):
        (path,) = re.findall(r"^ListenStream=(.*)$",
                             read("packaging", "systemd", "immured.socket"), re.M)
        self.assertIn(f"({path})", self.immure("status", "--help"))

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = subprocess.run([harness.program_path("immure"), "--help"], stdout=full,
                                    stderr=subprocess.PIPE, text=True, timeout=harness.LIMIT)
        self.assertEqual((result.returncode, result.stderr),
                         (FAILED, "immure: standard output: No space left on device\n"))

    def complete(self, *line):
        """The completions that bash offers for the last word."""
        script = ('source "$1"; shift; complete -p immure >/dev/null || exit 1; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _immure 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"')
        file = os.path.join(ROOT, "packaging", "completion", "immure.bash")
        path = os.path.abspath(harness.BIN) + ":" + os.environ["PATH"]
        result = subprocess.run(["bash", "-c", script, "bash", file, "immure", *line], text=True,
                                env={**os.environ, "PATH": path}, capture_output=True,
                                cwd=self.directory, timeout=harness.LIMIT, check=True)
        return set(result.stdout.split("\n")) - {""}

    def test_completion(self):
        commands = self.commands()
        self.assertEqual(self.complete(""),
                         {name.split()[0] for name in commands} | {"--help", "--version"})
        for family in ("key", "certificate", "backend"):
            self.assertEqual(self.complete(family, ""),
                             {name.split()[1] for name in commands if name.startswith(family + " ")})
        zsh = {}
        for names, arguments in re.findall(r"^ +(.*)\) _arguments (.*) ;;$",
                                           read("packaging", "completion", "_immure"), re.M):
            for name in names.replace("'", "").split(" | "):
                zsh[name] = set(re.findall(r"(?:\$|'--)([a-z]+)", arguments))
        for name in commands:
            options = set(re.findall(r"^  (--[a-z]+)", self.immure(*name.split(), "--help"), re.M))
            self.assertEqual(self.complete(*name.split(), "--"), options, name)
            self.assertEqual({"--" + option for option in zsh.pop(name)}, options, name)
        self.assertEqual(zsh, {})
        self.write("a.ref", "")
        self.assertEqual(self.complete("check", "a."), {"a.ref"})
        spki = Key("p-256").spki
        self.start_fake(keys=[(b"two words", spki, []), (b'a"b', spki, [])])
        self.assertEqual(self.complete("key", "test", "--socket", self.path, "t"), {r"two\ words"})

    @harness.needs("zsh")
    def test_zsh_reads_its_completion(self):
        subprocess.run(["zsh", "-n", os.path.join(ROOT, "packaging", "completion", "_immure")],
                       check=True, timeout=harness.LIMIT)


class WithImmured(ToolTest):
    def setUp(self):
        super().setUp()
        self.rsa, self.ec = Key("rsa-2048"), Key("p-256")
        self.immured = self.start_immured(self.rsa, self.ec, top="backend = openssl")
        self.socket = ("--socket", self.path)

    def test_keys(self):
        rows = self.immure("key", "list", *self.socket).splitlines()
        self.assertEqual([re.split(r"  +", row) for row in rows],
                         [["NAME", "TYPE", "BACKEND", "LANES", "KEY ID"],
                          ["key 0", "RSA-2048", "openssl", "-", self.rsa.id.hex()],
                          ["key 1", "P-256", "openssl", "-", self.ec.id.hex()]])
        listed = self.objects("key", "list", *self.socket)
        self.assertEqual([(each["name"], each["key_id"]) for each in listed],
                         [("key 0", self.rsa.id.hex()), ("key 1", self.ec.id.hex())])
        self.assertEqual(listed[1]["schemes"], ["ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384",
                                                "ecdsa_secp521r1_sha512"])

        made = self.immure("key", "reference", "key 0", *self.socket)
        self.assertEqual(made, reference(self.path, self.rsa.spki))
        self.assertEqual(self.immure("key", "reference", self.ec.id.hex()[:8].upper(), *self.socket),
                         reference(self.path, self.ec.spki))
        for name in ("key 2", self.ec.id.hex()[:7], "0123456789abcdef", ""):
            self.assertEqual(self.immure("key", "reference", name, *self.socket, status=NO_KEY),
                             f'{self.path}: immured has no key "{name}"')

        for key, name in ((self.rsa, "key 0"), (self.ec, "key 1")):
            tested = self.objects("key", "test", name, *self.socket)
            self.assertEqual([each["result"] for each in tested], ["verified"] * len(key.schemes()))
            self.assertEqual(tested[0]["message"], "TLS 1.3 server")
            self.assertEqual(tested[-1]["message"], "TLS 1.2 server")
            self.assertEqual({each["key_id"] for each in tested}, {key.id.hex()})
            for each in tested:
                self.assertGreater(each["answer_seconds"], each["sign_seconds"])
        table = self.immure("key", "test", "key 1", *self.socket)
        self.assertRegex(table, r"(?m)^ecdsa_secp256r1_sha256 +verified +TLS 1.3 server +openssl ")

    def test_figures(self):
        text = self.immure("status", *self.socket)
        self.assertRegex(text, r"(?m)^keys +2  private keys held$")
        (status,) = self.objects("status", *self.socket)
        self.assertEqual(status["figures"]["keys"], 2)
        self.assertEqual(status["unknown_figures"], 0)
        for name in status["figures"]:
            self.assertRegex(text, rf"(?m)^{name} +\d+  \S")

    def test_top_as_lines(self):
        client = self.connect()
        done = threading.Event()

        def sign():
            while not done.is_set():
                client.sign(self.ec.id, self.ec.tls13_scheme(), wire.tls13_message())

        thread = threading.Thread(target=sign)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(done.set)
        heading, line = self.immure("top", *self.socket).splitlines()
        self.assertIn("signatures/s", heading)
        self.assertGreater(int(line.split()[0]), 0)
        samples = self.objects("top", "--count", "2", *self.socket)
        self.assertEqual(len(samples), 2)
        for sample in samples:
            self.assertGreater(sample["signatures_per_second"], 0)
            self.assertEqual(sample["clients"], 2)
            self.assertGreaterEqual(sample["signatures_per_batch"], 1)
        grown = [sample["figures"]["signatures_total"] for sample in samples]
        self.assertLess(grown[0], grown[1])

    def start_top(self):
        """top on a terminal: (process, our end of the terminal, its end, what its end was set to)."""
        ours, its = pty.openpty()
        before = termios.tcgetattr(its)
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, its)
        top = subprocess.Popen([harness.program_path("immure"), "top", *self.socket], stdin=its,
                               stdout=its, stderr=its, env={**os.environ, "LC_ALL": "C.UTF-8"})
        self.addCleanup(top.wait)
        self.addCleanup(top.kill)
        return top, ours, its, before

    def read_screen(self, terminal, wanted):
        shown = b""

        def arrived():
            nonlocal shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)
            return wanted in shown

        harness.wait_until(arrived, f"{wanted} on the screen")
        return shown

    def test_top_on_a_terminal(self):
        for end in (lambda top, ours: os.write(ours, b"q"),
                    lambda top, ours: os.write(ours, b"\x03"),
                    lambda top, ours: top.send_signal(signal.SIGTERM)):
            top, ours, its, before = self.start_top()
            shown = self.read_screen(ours, b"signatures_total")
            self.assertIn(b"signatures/s", shown)
            self.assertIn(self.path.encode(), shown)
            self.assertFalse(termios.tcgetattr(its)[3] & termios.ECHO)
            end(top, ours)
            self.read_screen(ours, b"\x1b[?1049l")
            self.assertEqual(top.wait(harness.LIMIT), GOOD)
            self.assertEqual(termios.tcgetattr(its), before)

    def test_top_goes_on_when_immured_comes_back(self):
        top, ours, _, _ = self.start_top()
        self.read_screen(ours, b"(q ends)")
        self.immured.signal(signal.SIGTERM)
        self.immured.wait()
        self.read_screen(ours, b"Connection refused")
        self.start_immured(self.rsa)
        self.read_screen(ours, b"(q ends)")
        os.write(ours, b"q")
        self.assertEqual(top.wait(harness.LIMIT), GOOD)

    def test_a_reference_is_checked(self):
        crt, other = chain(self.rsa), chain(self.ec)
        path = self.write("site.ref", reference(self.path, self.rsa.spki))
        text = self.immure("check", path, "--certificate", crt)
        self.assertEqual(set(line.split()[0] for line in text.splitlines()), {"good"})
        for expected in (f"RSA-2048, {self.rsa.id.hex()}, at {self.path}", 'calls it "key 0"',
                         f"certificate in {crt} is for this key"):
            self.assertIn(expected, text)

        both = self.write("both.pem", read(crt) + reference(self.path, self.rsa.spki))
        self.assertIn(f"certificate in {both} is for this key", self.immure("check", both))

        foreign = Key("p-384")
        for name, content, options, status, finding in (
            ("cert", reference(self.path, self.rsa.spki), ["--certificate", other], FAILED,
             f"the certificate in {other} is for another key"),
            ("cert", reference(self.path, self.rsa.spki), ["--certificate", "/dev/null"], FAILED,
             "/dev/null: there is no certificate and no public key in it"),
            ("id", reference(self.path, self.rsa.spki, b"x" * 32), [], FAILED,
             "the key id is not that of its public key"),
            ("foreign", reference(self.path, foreign.spki), [], NO_KEY,
             "immured does not have this key"),
            ("down", reference("/nowhere/immured.sock", self.rsa.spki), [], UNREACHABLE,
             "/nowhere/immured.sock: No such file or directory (is immured running?)"),
            ("cut", reference(self.path, self.rsa.spki)[:200], [], FAILED,
             "the key reference is cut off, or not base64"),
            ("relative", reference("immured.sock", self.rsa.spki), [], FAILED,
             "the socket is not an absolute path or @name, is too long, or is not text"),
            ("key", read(self.rsa.file), [], FAILED,
             "it holds a private key, and no key reference"),
            ("crt", read(crt), [], FAILED, "there is no IMMURE KEY REFERENCE in it"),
        ):
            with self.subTest(name=name, finding=finding):
                path = self.write(name, content)
                (result,) = self.check_objects(path, *options, status=status)
                self.assertEqual((result["file"], result["kind"], result["good"]),
                                 (path, "key reference", False))
                wrong = [each["text"] for each in result["findings"] if not each["good"]]
                self.assertEqual(wrong, [finding])

    def check_objects(self, path, *options, status):
        """Findings are on standard output, whatever the status."""
        result = subprocess.run([harness.program_path("immure"), "check", path, "--json", *options],
                                capture_output=True, text=True, timeout=harness.LIMIT)
        self.assertEqual((result.returncode, result.stderr), (status, ""))
        return [json.loads(line) for line in result.stdout.splitlines()]

    def test_a_configuration_is_checked(self):
        self.assertIn("is a configuration that immured takes", self.check_config(self.config, GOOD)[0])
        (result,) = map(json.loads, self.check_config(self.config, GOOD, "--json")[0].splitlines())
        self.assertEqual((result["kind"], result["good"]), ("configuration", True))
        bad = self.write("bad.conf", "threads = 0\n")
        output, errors = self.check_config(bad, FAILED)
        self.assertEqual(output, "")
        self.assertIn("bad.conf:1: threads", errors)
        self.assertEqual(self.immure("check", self.config, "--certificate", "x", status=FAILED),
                         f"{self.config} is no key reference, so no certificate can be for its key")
        self.assertEqual(self.immure("check", "/nowhere", status=FAILED),
                         "/nowhere: No such file or directory")
        self.assertEqual(self.immure("check", "/", status=FAILED), "/: Is a directory")

    def check_config(self, path, status, *options):
        result = subprocess.run([harness.program_path("immure"), "check", path, *options],
                                capture_output=True, text=True, timeout=harness.LIMIT)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout, result.stderr

    @harness.needs_root("a user that immured does not know")
    def test_a_refused_user(self):
        os.chmod(self.path, 0o666)
        self.assertEqual(self.immure("status", *self.socket, status=UNREACHABLE, uid=4711),
                         f"{self.path}: this user may not use immured")
        os.chmod(self.path, 0o600)
        self.assertEqual(self.immure("status", *self.socket, status=UNREACHABLE, uid=4711),
                         f"{self.path}: Permission denied")


class Policies(ToolTest):
    def test_key_test_under_each_policy(self):
        key = Key("p-256")
        for policy, results in (("tls13-server", ["verified", "refused", "refused"]),
                                ("tls-client", ["verified"] * 3), ("any", ["verified"] * 3)):
            immured = self.start_immured(key, policy=policy)
            tested = self.objects("key", "test", "key 0", "--socket", self.path)
            self.assertEqual([each["result"] for each in tested], results, policy)
            if policy == "tls-client":
                self.assertEqual([each["message"] for each in tested],
                                 ["TLS 1.3 client", "TLS 1.2 client", "TLS 1.2 client"])
            immured.signal(signal.SIGTERM)
            immured.wait()


class WithoutImmured(ToolTest):
    COMMANDS = (["key", "list"], ["key", "reference", "a"], ["key", "test", "a"], ["status"], ["top"])

    def test_nobody_listens(self):
        path = os.path.join(self.directory, "absent.sock")
        for command in self.COMMANDS:
            self.assertEqual(self.immure(*command, "--socket", path, "--timeout", "1h", status=UNREACHABLE),
                             f"{path}: No such file or directory (is immured running?)")
        self.assertEqual(self.immure("status", "--socket", "/" + 200 * "x", status=UNREACHABLE),
                         f"/{200 * 'x'}: File name too long")

    def test_nobody_answers(self):
        self.start_fake(silent=True)
        for command in self.COMMANDS:
            self.assertEqual(self.immure(*command, "--socket", self.path, "--timeout", "100ms",
                                         status=UNREACHABLE), f"{self.path}: no reply in time")

    def test_a_reference_from_a_certificate(self):
        for kind in ("rsa-2048", "p-384", "ed25519"):
            key = Key(kind)
            crt = chain(key)
            for form in ("PEM", "DER"):
                x509, pub = (os.path.join(self.directory, f"{name}.{form}") for name in ("c", "p"))
                openssl("x509", "-in", crt, "-outform", form, "-out", x509)
                openssl("pkey", "-in", key.file, "-pubout", "-outform", form, "-out", pub)
                for file in (x509, pub):
                    self.assertEqual(self.immure("key", "reference", "--certificate", file),
                                     reference("/run/immure/immured.sock", key.spki))
        self.assertEqual(self.immure("key", "reference", "--certificate", crt, "--socket", "@name"),
                         reference("@name", key.spki))
        for socket in ("immured.sock", "/" + 107 * "x"):
            self.assertEqual(
                self.immure("key", "reference", "--certificate", crt, "--socket", socket,
                            status=FAILED),
                f"{socket}: the socket is not an absolute path or @name, is too long, or is not text")
        self.assertEqual(self.immure("key", "reference", "--certificate", key.file, status=FAILED),
                         f"{key.file}: there is no certificate and no public key in it")

    def test_no_reference_for_keys_that_immured_does_not_take(self):
        for kind, options in (("RSA-1024", ["rsa:1024"]),
                              ("secp256k1", ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
                              ("brainpoolP256r1", ["ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"]),
                              ("ED448", ["ed448"])):
            crt = os.path.join(self.directory, kind + ".crt")
            openssl("req", "-x509", "-newkey", *options, "-nodes", "-keyout", crt + ".key", "-out", crt,
                    "-subj", "/CN=localhost")
            with self.subTest(kind=kind):
                said = (f"its public key is {kind}; immured takes RSA and RSA-PSS of 2048 to 8192 bits, "
                        "P-256, P-384, P-521, Ed25519, ML-DSA-44, ML-DSA-65 and ML-DSA-87")
                self.assertEqual(self.immure("key", "reference", "--certificate", crt, status=FAILED),
                                 f"{crt}: {said}")
                spki = openssl("pkey", "-in", crt + ".key", "-pubout", "-outform", "DER").stdout
                file = self.write("untaken.ref", reference("/nowhere/immured.sock", spki))
                self.assertIn(f"wrong  {said}\n", self.immure("check", file, status=FAILED))

    def test_an_immured_that_is_none(self):
        key = Key("p-256")
        self.start_fake(keys=[(b"a\x1b[2J", key.spki, [wire.ECDSA_SHA256]), (b"b", key.spki, [])],
                        figures={2: 2, 60000: 1, 60001: 1})
        socket = ("--socket", self.path)
        listed = self.immure("key", "list", *socket)
        self.assertNotIn("\x1b", listed)
        self.assertRegex(listed, r"multibuffer, 3 to 8")
        tested = subprocess.run([harness.program_path("immure"), "key", "test", "a?[2J", *socket],
                                capture_output=True, text=True, timeout=harness.LIMIT)
        self.assertEqual((tested.returncode, tested.stderr),
                         (FAILED, "immure: a?[2J: 1 signatures are wrong, 0 failed\n"))
        self.assertRegex(tested.stdout, r"(?m)^ecdsa_secp256r1_sha256 +wrong ")
        self.assertEqual(self.immure("key", "test", key.id.hex(), *socket, status=NO_KEY),
                         f'{self.path}: 2 keys are called "{key.id.hex()}"; name one by its key id')
        self.assertIn("2 more figures are newer than this immure", self.immure("status", *socket))
        (status,) = self.objects("status", *socket)
        self.assertEqual((status["figures"], status["unknown_figures"]), ({"keys": 2}, 2))
        (sample,) = self.objects("top", *socket)
        self.assertIsNone(sample["signatures_per_second"])

    def test_it_is_refused(self):
        self.start_fake(refuse=wire.E_PEER)
        self.assertEqual(self.immure("status", "--socket", self.path, status=UNREACHABLE),
                         f"{self.path}: this user may not use immured")


BASE = """\
[provider_sect]
base = base_sect
default = default_sect
[base_sect]
activate = 1
[default_sect]
[other]
name = value
"""


class OpensslConfig(ToolTest):
    """Uses another provider's module, because only its place in the configuration matters."""

    def setUp(self):
        super().setUp()
        directory = re.search(r'"(.*)"', openssl("version", "-m").stdout.decode()).group(1)
        self.module = os.path.join(directory, "legacy.so")
        if not os.path.exists(self.module):
            self.skipTest(f"no {self.module}")

    def config(self, *options):
        return self.immure("openssl-config", "--module", self.module, *options)

    def add_to(self, path, *options, status=GOOD):
        """`immure openssl-config >> FILE`. Returns its error messages."""
        with open(path, "a", encoding="utf-8") as out:
            done = subprocess.run([harness.program_path("immure"), "openssl-config", "--module",
                                   self.module, *options], stdout=out, stderr=subprocess.PIPE,
                                  text=True, timeout=harness.LIMIT)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def assert_loads(self, path, *expected):
        environment = {**os.environ, "OPENSSL_CONF": path}
        listed = subprocess.run(["openssl", "list", "-providers"], env=environment, text=True,
                                capture_output=True, timeout=harness.LIMIT, check=True)
        self.assertEqual(re.findall(r"^  (\w+)$", listed.stdout, re.M), list(expected))
        if "default" not in expected:
            return  # it was not in force before, so it must not be activated
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256"],
                       env=environment, capture_output=True, timeout=harness.LIMIT, check=True)

    def test_the_snippet_alone_and_behind_a_configuration(self):
        snippet = self.config()
        before = "openssl_conf = openssl_init\n[openssl_init]\nproviders = provider_sect\n" + BASE
        for text, expected in ((snippet, ["default", "immure"]),
                               (before + snippet, ["base", "default", "immure"]),
                               (before + snippet + snippet, ["base", "default", "immure"])):
            self.assert_loads(self.write("openssl.cnf", text), *expected)

    def test_added_to_a_configuration(self):
        """Whatever its sections are called, and whatever there is of them already."""
        with open("/etc/ssl/openssl.cnf", encoding="utf-8") as file:
            stock = file.read()
        for text, expected in (
            (stock, ["default", "immure"]),
            ("# nothing\n", ["default", "immure"]),
            ("no = newline", ["default", "immure"]),
            # sections that nobody has asked for
            ("[openssl_init]\nproviders = x\n[x]\nlegacy = y\n[y]\nactivate = 1\n", ["default", "immure"]),
            ("openssl_conf = a\n[a]\nproviders = provider_sect\n" + BASE, ["base", "immure"]),
            ("openssl_conf = a\n[a]\nproviders = p\n[p]\ndefault = d\n[d]\n# activate = 1\n",
             ["default", "immure"]),
            ("openssl_conf = a\n[a]\nproviders = p\n[p]\ndefault = d\n[d]\nactivate = 1\n",
             ["default", "immure"]),
            ("openssl_conf = a\n[a]\nproviders = p\nalg_section = evp\n[p]\n[evp]\n", ["default", "immure"]),
            ("openssl_conf = a\n[a]\n[immure_sect]\ntimeout = 1s\n", ["default", "immure"]),
        ):
            with self.subTest(text=text[:60]):
                path = self.write("openssl.cnf", text)
                whole = self.config("--into", path)
                self.assertTrue(whole.startswith(text))
                self.assertEqual(self.add_to(path), "")
                self.assertEqual(read(path), whole)
                self.assert_loads(path, *expected)
                self.assertIn("\n[immure_sect]\nmodule = ", whole)
                # Once is enough.
                self.assertEqual(self.add_to(path), f"immure: note: {path} loads the provider already\n")
                self.assertEqual(read(path), whole)

    def test_a_provider_that_is_named_and_not_loaded(self):
        before = "openssl_conf = a\n[a]\nproviders = p\n[p]\ndefault = d\nimmure = i\n[d]\nactivate = 1\n[i]\n"
        module = f"module = {self.module}\n"
        for text, added in (("", module + "activate = 1\n"), ("timeout = 1s\n", module + "activate = 1\n"),
                            (module, "activate = 1\n"), (module + "activate = 0\n", "activate = 1\n")):
            with self.subTest(text=text):
                path = self.write("openssl.cnf", before + text)
                self.assertEqual(self.add_to(path), "")
                self.assertEqual(read(path), before + text + "\n[i]\n" + added)
                self.assert_loads(path, "default", "immure")
                self.assertEqual(self.add_to(path), f"immure: note: {path} loads the provider already\n")
        # One that is installed is found by its name.
        path = self.write("openssl.cnf", before + "activate = 1\n")
        self.assertEqual(self.add_to(path), f"immure: note: {path} loads the provider already\n")

    def test_into_the_file_that_is_written(self):
        text = "openssl_conf = a\n[a]\n"
        path = self.write("openssl.cnf", text)
        self.assertIn("is standard output, too", self.add_to(path, "--into", path, status=USAGE))
        self.assertEqual(read(path), text)

    def test_property_queries_are_joined(self):
        before = "openssl_conf = a\n[a]\nalg_section = evp\n[evp]\ndefault_properties = "
        for value, joined in (("fips=no", "fips=no,?provider!=immure"), ("", "?provider!=immure")):
            path = self.write("openssl.cnf", f"{before}{value}\n")
            self.assertTrue(self.config("--into", path).endswith(
                f"\n[evp]\ndefault_properties = {joined}\n"))
            self.add_to(path)
            self.assert_loads(path, "default", "immure")

    def test_the_name_that_a_program_looks_for(self):
        self.assertTrue(self.config("--name", "nodejs_conf").startswith(
            "[default]\nnodejs_conf = openssl_init\n\n[openssl_init]\n"))
        path = self.write("openssl.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n")
        self.assertIn("\n[default]\nnodejs_conf = a\n\n[a]\nproviders", self.config("--into", path, "--name",
                                                                                    "nodejs_conf"))
        self.add_to(path)
        self.add_to(path, "--name", "nodejs_conf")
        self.assertTrue(read(path).endswith("\n\n[default]\nnodejs_conf = a\n"))

    def test_what_is_no_configuration(self):
        path = self.write("openssl.cnf", "openssl_conf = a\n[a]\nnonsense\n")
        self.assertEqual(self.immure("openssl-config", "--module", self.module, "--into", path,
                                     status=FAILED), f"{path}:3: missing equal sign")
        self.assertEqual(self.add_to(path, status=FAILED), f"immure: {path}:3: missing equal sign\n")
        self.assertEqual(self.immure("openssl-config", "--module", self.module, "--into", "/nowhere/x",
                                     status=FAILED), "/nowhere/x: No such file or directory")

    def test_a_module_that_is_not_there(self):
        result = subprocess.run([harness.program_path("immure"), "openssl-config", "--module",
                                 "/nowhere/immure.so"], capture_output=True, text=True,
                                timeout=harness.LIMIT)
        self.assertEqual((result.returncode, result.stderr),
                         (GOOD, "immure: note: /nowhere/immure.so: No such file or directory\n"))
        self.assertIn("\nmodule = /nowhere/immure.so\n", result.stdout)


if __name__ == "__main__":
    harness.main()

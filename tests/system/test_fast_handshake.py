"""fast-handshake changes what a handshake costs, and nothing that a client can see: groups, suites,
versions, retries, resumption; with each of its parts; and clients that forge or leave."""

import os
import shutil
import socket
import subprocess
import unittest.mock

import backends
import clients
import harness
from certificates import certificate

SHARE = bytes.fromhex("001d0020")  # group and length before the bytes of an X25519 key share
BURSTS = harness.scaled(60, 15)
IN_BURST = 24

X448 = 'groups = "X25519:P-256:P-384:X448"'  # not in the default list

# Options of s_client, of the frontend, and what s_client must say of the key exchange.
KINDS = {
    "X25519": (["-tls1_3", "-groups", "X25519"], "", "X25519"),
    "SHA-384": (["-tls1_3", "-groups", "X25519", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], "",
                "TLS_AES_256_GCM_SHA384"),
    "ChaCha20": (["-tls1_3", "-groups", "X25519", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
                 "", "TLS_CHACHA20_POLY1305_SHA256"),
    "P-256": (["-tls1_3", "-groups", "P-256"], "", "prime256v1|P-256|secp256r1"),
    "P-384": (["-tls1_3", "-groups", "P-384"], "", "secp384r1|P-384"),
    "X448": (["-tls1_3", "-groups", "X448"], X448, "X448"),
    "retry to X25519": (["-tls1_3", "-groups", "P-256:X25519"], 'groups = "X25519"', "X25519"),
    "retry from X25519": (["-tls1_3", "-groups", "X25519:P-384"], 'groups = "P-384"',
                          "secp384r1|P-384"),
    "TLS 1.2": (["-tls1_2", "-groups", "X25519:P-256"], "", "X25519"),
    "TLS 1.2, P-256": (["-tls1_2", "-groups", "P-256"], "", "prime256v1|P-256|secp256r1"),
}


class FastHandshake(harness.SystemTest):
    def start(self, value="auto", frontend="", top="", **options):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256"), certificate("rsa-2048")],
                                      backend.address, frontend=frontend,
                                      top=f"fast-handshake = {value}\n{top}", **options)
        return self.in_force()

    def in_force(self):
        return next(line.split("fast-handshake: ", 1)[1]
                    for line in self.proxy.log().splitlines() if "fast-handshake: " in line)

    def good_client(self, version=None, session=None):
        with clients.connect(self.proxy.port, clients.context(version), session=session) as client:
            clients.echo_once(client)

    def check_kinds(self, names=tuple(KINDS)):
        for name in names:
            options, _, expected = KINDS[name]
            with self.subTest(kind=name):
                output, good = clients.s_client(self.proxy.port, *options)
                self.assertTrue(good, output[-1000:])
                self.assertRegex(output, expected)

    def test_each_part(self):
        parts = {"auto": ("key schedule", "X25519 key pairs", "X25519 derivation"),
                 "key-schedule": ("key schedule",),
                 "key-pairs": ("key schedule", "X25519 key pairs"),
                 "key-exchange": ("X25519 key pairs", "X25519 derivation"),
                 "off": ("off",)}
        for value, expected in parts.items():
            with self.subTest(value=value):
                told = self.start(value)
                if "no X25519" in told:
                    expected = [part for part in expected if "X25519" not in part] or ["nothing"]
                self.assertEqual(told.split(" (")[0].split(";")[0], ", ".join(expected))
                self.check_kinds(("X25519", "SHA-384", "P-256", "TLS 1.2"))

    def test_kinds(self):
        for frontend in sorted({kind[1] for kind in KINDS.values()}):
            self.start(frontend=frontend)
            self.check_kinds([name for name, kind in KINDS.items() if kind[1] == frontend])

    def test_signing_modes(self):
        for mode in ("sync", "in-process"):
            self.start(signing=mode)
            self.check_kinds(("X25519", "P-256", "TLS 1.2"))

    def test_resumption(self):
        self.start()
        for version in (clients.TLS12, clients.TLS13):
            tls = clients.context(version)
            with clients.connect(self.proxy.port, tls) as first:
                clients.echo_once(first)
                session = first.session
            with clients.connect(self.proxy.port, tls, session=session) as second:
                clients.echo_once(second)
                self.assertTrue(second.session_reused)

    @harness.needs("gnutls-cli")
    def test_gnutls(self):
        self.start(frontend=X448)
        for groups in ("+GROUP-X25519", "+GROUP-SECP256R1", "+GROUP-X448"):
            for version in ("1.2", "1.3"):
                if groups == "+GROUP-X448" and version == "1.2":
                    continue  # its ECDSA would need a curve that it then does not offer
                offered = groups if version == "1.3" else groups + ":+GROUP-SECP256R1"
                with self.subTest(groups=groups, version=version):
                    done = subprocess.run(
                        ["gnutls-cli", "--insecure", "--port", str(self.proxy.port), "--priority",
                         f"NORMAL:-VERS-ALL:+VERS-TLS{version}:-GROUP-ALL:{offered}", "127.0.0.1"],
                        input=b"", capture_output=True, timeout=harness.LIMIT, check=False)
                    self.assertIn(b"Handshake was completed", done.stdout, done.stderr)

    def test_many_at_once(self):
        self.start(workers=1)
        load = clients.HandshakeLoad(self.proxy.port, threads=16)
        harness.wait_until(lambda: load.done > 300, "handshakes of sixteen clients")
        load.stop()
        self.assertEqual(load.failures, [])

    # ---- clients that forge or leave ----

    def hello(self, share=None):
        hello = clients.client_hello(clients.TLS13)
        at = hello.find(SHARE)
        if share is None or at < 0:
            return hello
        return hello[:at + 4] + share + hello[at + 36:]

    def settled(self):
        return (self.proxy.metric("immure_connections") == 0
                and self.proxy.metric("immure_signatures_pending") == 0)

    def test_forged_shares(self):
        """A client that forces an all-zero secret fails its own handshake, and nobody else's."""
        self.start(workers=1, frontend='groups = "X25519"')
        load = clients.HandshakeLoad(self.proxy.port, threads=2)
        low = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
        for share in (bytes(32), b"\1" + bytes(31), low, b"\xee" + b"\xff" * 30 + b"\x7f"):
            for _ in range(4):
                with socket.create_connection(("127.0.0.1", self.proxy.port)) as connection:
                    connection.settimeout(harness.LIMIT)
                    connection.sendall(self.hello(share))
                    self.assertEqual(connection.recv(4096)[:1], b"\x15", share.hex())
        for share in (b"\xff" * 31 + b"\x7f", b"\xfe" + b"\xff" * 30 + b"\x7f", b"\xff" * 10 + bytes(22)):
            with socket.create_connection(("127.0.0.1", self.proxy.port)) as connection:
                connection.settimeout(harness.LIMIT)
                connection.sendall(self.hello(share))
                self.assertEqual(connection.recv(4096)[:1], b"\x16", share.hex())
        load.stop()
        self.assertEqual(load.failures, [])
        harness.wait_until(self.settled, "no connection left")

    def test_bursts_of_clients_that_leave(self):
        """Some leave at once, some after half a ClientHello, some after the server's flight."""
        self.start(workers=1)
        hello = self.hello()
        for burst in range(BURSTS):
            connections = [socket.create_connection(("127.0.0.1", self.proxy.port))
                           for _ in range(IN_BURST)]
            for number, connection in enumerate(connections):
                connection.sendall(hello if number % 3 else hello[:len(hello) // 2])
            for number, connection in enumerate(connections):
                if number % 4 == 3:
                    connection.settimeout(harness.LIMIT)
                    if number % 3:
                        connection.recv(100)
                (clients.reset if (number + burst) % 2 else socket.socket.close)(connection)
            if burst % 10 == 0:
                self.good_client()
        harness.wait_until(self.settled, "no connection left")
        self.good_client(clients.TLS12)
        self.good_client(clients.TLS13)

    # ---- a machine without it ----

    def test_without_the_library(self):
        """The same program, but it looks for a library that does not exist."""
        programs = os.path.join(self.directory, "bin")
        os.mkdir(programs)
        shutil.copy(harness.program_path("immured"), programs)
        with open(harness.program_path("immure-proxy"), "rb") as file:
            program = file.read()
        self.assertIn(b"libcrypto_mb.so.", program)
        path = os.path.join(programs, "immure-proxy")
        with open(path, "wb") as file:
            file.write(program.replace(b"libcrypto_mb.so.", b"libcrypto_no.so."))
        os.chmod(path, 0o755)
        with unittest.mock.patch.object(harness, "BIN", programs):
            told = self.start(frontend=X448)
        self.assertRegex(told, "^key schedule; no X25519: there is no ")
        self.check_kinds([name for name, kind in KINDS.items() if kind[1] in ("", X448)])


if __name__ == "__main__":
    harness.main()

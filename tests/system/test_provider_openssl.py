"""The module immure.so in the openssl program and in Python's ssl, both unmodified."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import clients
import harness
import immured
import proc
import provider
from certificates import certificate
from immured import Key

SETTINGS = "timeout = 20s"  # that a handshake waits for immured
TIMEOUT = 1  # for one that does not come

SERVER = """\
import os, signal, socket, ssl, sys, threading

def serve(listener, context):
    while True:
        try:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(b"%d %d" % (os.getpid(), threading.get_native_id()))
        except (OSError, ssl.SSLError) as error:
            print(error, file=sys.stderr, flush=True)

chain, reference, port = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, reference)
listener = socket.create_server(("127.0.0.1", int(port)))
for child in range(4):
    if os.fork() == 0:
        for thread in range(3):
            threading.Thread(target=serve, args=(listener, context)).start()
        break
signal.sigwait({signal.SIGTERM})
os._exit(0)
"""


@harness.not_sanitized("the programs that load the module are not")
class ProviderTest(immured.ImmuredTest):
    def setUp(self):
        super().setUp()
        self.environment = provider.environment(self.directory, settings=SETTINGS)

    def reference(self, key, **options):
        """The path of a key reference."""
        path = os.path.join(self.directory, f"{time.monotonic_ns()}.ref")
        with open(path, "w", encoding="ascii") as file:
            file.write(provider.reference(key, self.path, **options))
        return path

    def openssl(self, *arguments, environment=None):
        done = subprocess.run(["openssl", *arguments], check=False, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=harness.LIMIT,
                              env=environment or self.environment)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def assert_openssl_fails(self, *arguments, says, **options):
        status, _, errors = self.openssl(*arguments, **options)
        self.assertNotEqual(status, 0)
        self.assertIn(says, errors)

    def certificate(self, key):
        """The one that was made with the key."""
        return certificate(key.kind, serial=1)

    def serve(self, key, *options, source=None, environment=None):
        """openssl s_server with a reference, or another source, in place of the key file."""
        self.port = harness.free_port()
        server = self.start_program(
            "/usr/bin/openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-www",
            "-cert", self.certificate(key).chain, "-key", source or self.reference(key), *options,
            environment=environment or self.environment)
        server.expected_status = -signal.SIGTERM
        harness.wait_until(lambda: "ACCEPT" in server.log() or not server.running(), "s_server")
        self.assertTrue(server.running(), server.log())
        return server

    def shake_hands(self, key, version=None, ciphers=None):
        context = clients.context(version, trusted=self.certificate(key))
        if ciphers:
            context.set_ciphers(ciphers)
        with clients.connect(self.port, context) as connection:
            return connection.cipher()[0]

    def assert_no_handshake(self, key, **options):
        with self.assertRaises(OSError):
            self.shake_hands(key, **options)


class Handshakes(ProviderTest):
    def test_every_key_and_version(self):
        kinds = ["rsa-2048", "rsa-pss", "p-256", "p-384", "ed25519"]
        if b"ML-DSA-65" in immured.openssl("list", "-public-key-algorithms").stdout:
            kinds.append("ml-dsa-65")
        keys = [Key(kind) for kind in kinds]
        self.start_immured(*keys)
        for key in keys:
            server = self.serve(key)
            for version in (clients.TLS12, clients.TLS13):
                if key.kind not in ("ml-dsa-65", "rsa-pss") or version == clients.TLS13:
                    with self.subTest(key=key.kind, version=version):
                        self.shake_hands(key, version)
            self.assertEqual(server.stop(), [])

    def test_servers_without_tls13(self):
        keys = [Key("p-256"), Key("rsa-2048"), Key("rsa-pss")]
        self.start_immured(*keys, policy="tls12-server")
        for key in keys:
            server = self.serve(key, "-tls1_2")
            self.shake_hands(key, clients.TLS12)
            self.assertEqual(server.stop(), [])
            server = self.serve(key)
            for version in (clients.TLS12, clients.TLS13):
                self.shake_hands(key, version)
            self.assertEqual(server.stop(), [])

    def test_by_name(self):
        key = Key("p-256")
        self.start_immured(key)
        self.serve(key, source=f"immure:key 0?socket={self.path}")
        self.shake_hands(key)
        self.assert_openssl_fails("pkey", "-pubout", "-in", f"immure:key 9?socket={self.path}",
                                  says=f'{self.path} has no key "key 9"')

    def test_rsa_key_exchange(self):
        allowed = Key("rsa-2048", more="decrypt = tls-rsa-key-exchange")
        other = Key("rsa-3072")
        self.start_immured(allowed, other)
        self.serve(allowed)
        self.assertEqual(self.shake_hands(allowed, clients.TLS12, "AES128-SHA"), "AES128-SHA")
        server = self.serve(other)
        self.assert_no_handshake(other, version=clients.TLS12, ciphers="AES128-SHA")
        harness.wait_until(lambda: "does not allow decryption" in server.log(), "the reason")
        self.shake_hands(other, clients.TLS12)

    def test_loaded_first_or_alone(self):
        """No matter in which order openssl.cnf names the providers, or without `default`."""
        key = Key("p-256")
        self.start_immured(key)
        for providers in (("immure",), ("immure", "default"), ("default", "immure")):
            for algorithms in ("", "default_properties = ?provider!=immure"):
                with self.subTest(providers=providers, algorithms=algorithms):
                    environment = provider.environment(
                        self.directory, settings=SETTINGS, providers=providers,
                        algorithms=algorithms)
                    server = self.serve(key, "-groups", "P-256", environment=environment)
                    self.shake_hands(key, clients.TLS13)
                    self.assertEqual(server.stop(), [])
                    status, made, errors = self.openssl("genpkey", "-algorithm", "RSA",
                                                        environment=environment)
                    self.assertEqual(status, 0, errors)
                    self.assertIn("PRIVATE KEY", made)


class NoAlarm(ProviderTest):
    """What a connecting stranger or a server's configuration can cause is refused without an
    alarm."""

    def assert_refused(self, *reasons):
        lines = [json.loads(line) for line in self.immured.log().splitlines() if line.startswith("{")]
        self.assertEqual([(line["audit"], line["reason"]) for line in lines],
                         [("refused", reason) for reason in reasons])

    def s_client(self, *options):
        output, good = clients.s_client(self.port, "-tls1_2", *options)
        self.assertFalse(good, output)

    def test_strangers(self):
        key = Key("rsa-2048")
        self.immured = self.start_immured(key)
        self.serve(key)
        rare = "ServerECDHParams name a group that is signed for only with tls12-groups = all"
        self.s_client("-cipher", "AES128-SHA256")
        self.s_client("-cipher", "DHE-RSA-AES128-GCM-SHA256")
        self.s_client("-groups", "P-521")
        self.s_client("-groups", "X448")
        self.shake_hands(key)
        self.assert_refused(
            "the key's configuration does not allow decryption",
            "finite-field Diffie-Hellman is not signed for: give the server suites with ECDHE only", rare, rare)

    def test_configurations(self):
        key, pss = Key("p-256"), Key("rsa-pss")
        self.immured = self.start_immured(key, pss)
        server = self.serve(key, "-tls1_2")
        self.assert_no_handshake(key)
        self.assertEqual(server.stop(), [])
        self.serve(pss)
        self.assert_no_handshake(pss, version=clients.TLS12)
        self.shake_hands(pss)
        self.assert_refused(
            "the policy has no signature of a TLS 1.2 server whose random lacks the sentinel of RFC 8446: a "
            "server without TLS 1.3 needs the policy tls12-server",
            "keys of type RSA-PSS sign for TLS 1.2 only with the policy tls12-server")

    def test_rare_groups_where_they_are_wanted(self):
        key = Key("rsa-2048", more="tls12-groups = all")
        self.immured = self.start_immured(key)
        self.serve(key)
        for group in ("P-521", "X448"):
            output, good = clients.s_client(self.port, "-tls1_2", "-groups", group)
            self.assertTrue(good, output)
        self.assertIn("signs for secp521r1 and x448, too (tls12-groups = all)", self.immured.log())


POLICY = """\
openssl_conf = default_conf

[default_conf]
ssl_conf = ssl_sect

[ssl_sect]
system_default = system_default_sect

[system_default_sect]
MinProtocol = TLSv1.3
"""


class SystemPolicy(ProviderTest):
    """An openssl.cnf that has its own sections already, with what `immure openssl-config` makes of it."""

    def configured(self, name):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(POLICY)
        return path

    def openssl_config(self, path, *options, mode):
        with open(path, mode, encoding="ascii") as out:
            subprocess.run([harness.program_path("immure"), "openssl-config", "--module",
                            os.path.join(provider.MODULES, "immure.so"), *options], check=True, stdout=out,
                           timeout=harness.LIMIT)

    def test_policy_holds_and_provider_works(self):
        key = Key("p-256")
        self.start_immured(key)
        appended, printed = self.configured("appended.cnf"), os.path.join(self.directory, "printed.cnf")
        self.openssl_config(appended, mode="a")
        self.openssl_config(printed, "--into", self.configured("system.cnf"), mode="w")
        for path in (appended, printed):
            with self.subTest(path=path):
                server = self.serve(key, environment=dict(os.environ, OPENSSL_CONF=path))
                self.shake_hands(key, clients.TLS13)
                self.assert_no_handshake(key, version=clients.TLS12)
                self.assertEqual(server.stop(), [])


class PublicHalf(ProviderTest):
    def test_text_of_a_key(self):
        for kind in ("rsa-2048", "rsa-pss", "p-256", "ed25519"):
            key = Key(kind)
            served = self.start_immured(key)
            public = immured.openssl("pkey", "-in", key.file, "-text_pub", "-noout").stdout.decode()
            for source in (self.reference(key), f"immure:key 0?socket={self.path}"):
                with self.subTest(kind=kind, source=source):
                    status, text, errors = self.openssl("pkey", "-in", source, "-text", "-noout")
                    self.assertEqual(status, 0, errors)
                    place = f"Private-Key: in immured at {self.path}, as key id {key.id.hex()}\n"
                    self.assertEqual(text, place + public)
            self.assertEqual(served.stop(), [])

    def test_public_key_by_name(self):
        key = Key("p-256")
        self.start_immured(key)
        status, made, errors = self.openssl("pkey", "-pubin", "-in", f"immure:key 0?socket={self.path}")
        self.assertEqual(status, 0, errors)
        self.assertEqual(made, immured.openssl("pkey", "-in", key.file, "-pubout").stdout.decode())

    def test_verifies(self):
        key = Key("p-256")
        self.start_immured(key)
        signature = os.path.join(self.directory, "signature")
        immured.openssl("dgst", "-sha256", "-sign", key.file, "-out", signature, self.config)
        for file, status in ((self.config, 0), (key.file, 1)):
            self.assertEqual(self.openssl("dgst", "-sha256", "-prverify", self.reference(key), "-signature",
                                          signature, file)[0], status)


class Errors(ProviderTest):
    def test_only_the_public_half_comes_out(self):
        key = Key("rsa-2048")
        self.start_immured(key)
        reference = self.reference(key)
        self.assertEqual(self.openssl("pkey", "-in", reference, "-pubout")[1],
                         immured.openssl("pkey", "-in", key.file, "-pubout").stdout.decode())
        self.assert_openssl_fails("pkey", "-in", reference,
                                  says="the private key is in immured and stays there")

    def test_certificates_are_signed_only_with_policy_any(self):
        configuration = os.path.join(self.directory, "req.cnf")
        with open(configuration, "w", encoding="ascii") as file:
            file.write("[req]\ndistinguished_name = name\n[name]\n")
        request = ("req", "-new", "-subj", "/CN=localhost", "-config", configuration, "-key")
        for kind in ("rsa-2048", "p-256", "ed25519"):
            key = Key(kind)
            served = self.start_immured(key)
            self.assert_openssl_fails(*request, self.reference(key),
                                      says="the key's policy does not allow it")
            self.assertEqual(served.stop(), [])
            served = self.start_immured(key, policy="any")
            status, made, errors = self.openssl(*request, self.reference(key))
            self.assertEqual(status, 0, errors)
            checked = subprocess.run(["openssl", "req", "-verify", "-noout"], input=made.encode(),
                                     capture_output=True, check=False)
            self.assertEqual(checked.returncode, 0, checked.stderr)
            self.assertEqual(served.stop(), [])

    def test_pss_in_x509_and_cms(self):
        """Only a key that may sign anything can do this."""
        configuration = os.path.join(self.directory, "req.cnf")
        with open(configuration, "w", encoding="ascii") as file:
            file.write("[req]\ndistinguished_name = name\n[name]\n")
        key = Key("rsa-2048")
        self.start_immured(key, policy="any")
        pss, salt = "rsa_padding_mode:pss", "rsa_pss_saltlen:digest"
        status, made, errors = self.openssl(
            "req", "-new", "-subj", "/CN=localhost", "-config", configuration, "-sha384", "-key",
            self.reference(key), "-sigopt", pss, "-sigopt", salt)
        self.assertEqual(status, 0, errors)
        checked = subprocess.run(["openssl", "req", "-verify", "-noout", "-text"],
                                 input=made.encode(), capture_output=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn(b"Signature Algorithm: rsassaPss", checked.stdout)
        chain = self.certificate(key).chain
        for options in ((), ("-keyopt", pss), ("-keyopt", pss, "-keyopt", salt)):
            with self.subTest(options=options):
                status, made, errors = self.openssl("cms", "-sign", "-in", self.config, "-signer", chain,
                                                    "-inkey", self.reference(key), *options)
                self.assertEqual(status, 0, errors)
                checked = subprocess.run(["openssl", "cms", "-verify", "-CAfile", chain, "-purpose",
                                          "any"], input=made.encode(), capture_output=True, check=False)
                self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_no_signature_over_a_digest(self):
        key = Key("p-256")
        self.start_immured(key, policy="any")
        self.assert_openssl_fails("cms", "-sign", "-noattr", "-in", self.config, "-signer",
                                  self.certificate(key).chain, "-inkey", self.reference(key),
                                  says="immured signs whole messages, not digests")
        self.assert_openssl_fails("pkeyutl", "-sign", "-inkey", self.reference(key), "-in",
                                  key.file, says="immured signs whole messages, not digests")

    def test_references_that_are_wrong(self):
        key, other = Key("p-256"), Key("p-256", serial=2)
        self.start_immured(key)
        self.assert_openssl_fails("pkey", "-pubout", "-in", self.reference(key, key_id=other.id),
                                  says="the key reference is damaged")
        whole = provider.reference(key, self.path).splitlines()
        path = os.path.join(self.directory, "cut.ref")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join([whole[0], *whole[2:]]) + "\n")
        self.assert_openssl_fails("pkey", "-pubout", "-in", path,
                                  says="the key reference is damaged")
        # One of another key does not fit the certificate.
        self.assert_openssl_fails(
            "s_server", "-accept", "127.0.0.1:0", "-cert", self.certificate(key).chain,
            "-key", self.reference(other), says="key values mismatch")

    def test_a_key_that_immured_has_not(self):
        key = Key("p-256")
        self.start_immured(Key("ed25519"))
        server = self.serve(key)
        self.assert_no_handshake(key)
        harness.wait_until(lambda: "immured does not have this key" in server.log(), "the reason")

    @harness.needs_root("the server runs as another user")
    def test_a_peer_that_is_refused(self):
        key = Key("p-256")
        self.start_immured(key, top='allow-users = {"daemon"}')
        self.serve(key)
        self.shake_hands(key)
        signing = ("dgst", "-sha256", "-sign", self.reference(key), self.config)
        done = subprocess.run(["openssl", *signing], env=self.environment, user=65534,
                              capture_output=True, check=False, timeout=harness.LIMIT)
        self.assertIn("immured does not serve this user", done.stderr.decode())

    def test_another_user_listens(self):
        key = Key("p-256")
        self.start_immured(key)
        own = os.getuid()
        for user, said in ((own, "the key's policy does not allow it"),
                           (own + 1, f"another user listens there than peer-user says.*{self.path}")):
            environment = provider.environment(self.directory, settings=f"peer-user = {user}")
            _, _, errors = self.openssl("dgst", "-sha256", "-sign", self.reference(key), self.config,
                                        environment=environment)
            self.assertRegex(errors, said)

    def test_immured_is_away_and_comes_back(self):
        key = Key("p-256")
        served = self.start_immured(key)
        self.environment = provider.environment(self.directory, settings=f"timeout = {TIMEOUT}s")
        server = self.serve(key)
        harness.wait_until(lambda: self.handshake_works(key), "the first handshake")
        self.assertEqual(served.stop(), [])
        begun = time.monotonic()
        self.assert_no_handshake(key)
        self.assertGreaterEqual(time.monotonic() - begun, TIMEOUT)
        self.assertLess(time.monotonic() - begun, TIMEOUT + 10)
        reason = re.compile(f"no connection to immured.*{re.escape(self.path)}")
        harness.wait_until(lambda: reason.search(server.log()), "the reason")
        self.start_immured(key)
        harness.wait_until(lambda: self.handshake_works(key), "the handshakes to work again")

    def handshake_works(self, key):
        try:
            self.shake_hands(key)
            return True
        except OSError:
            return False

    def test_restart_costs_time_only(self):
        key = Key("p-256")
        served = self.start_immured(key)
        self.serve(key)
        for _ in range(3):
            self.shake_hands(key)
            self.assertEqual(served.stop(), [])
            served = self.start_immured(key)
        self.shake_hands(key)


class Python(ProviderTest):
    def test_forks_and_threads(self):
        key = Key("p-256")
        self.start_immured(key)
        script = os.path.join(self.directory, "server.py")
        with open(script, "w", encoding="ascii") as file:
            file.write(SERVER)
        port = harness.free_port()
        server = self.start_program(sys.executable, script, self.certificate(key).chain,
                                    self.reference(key), str(port), environment=self.environment)
        self.addCleanup(self.end_workers, server)
        trusted = clients.context(trusted=self.certificate(key))
        seen = set()

        def serves():
            try:
                with clients.connect(port, trusted) as connection:
                    seen.add(tuple(connection.recv(100).split()))
            except ConnectionRefusedError:
                pass  # not yet
            return len({pid for pid, _ in seen}) == 4 and len(seen) > 4
        harness.wait_until(serves, "answers of all processes", pause=0)
        self.assertEqual(server.log(), "")

    def end_workers(self, server):
        for pid in proc.children(server.pid):
            os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    harness.main()

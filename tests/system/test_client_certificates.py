"""Client certificates: who is refused with which alert and line, what the backend hears of the
others, when a session is resumed, and that a new revocation list counts from HUP on."""

import functools
import json
import os
import queue
import shutil
import signal
import ssl
import subprocess
import time

import authority
import backends
import clients
import harness
from certificates import certificate

BOTH = (clients.TLS12, clients.TLS13)
PP2_SSL, PP2_SSL_CN, PP2_SSL_CLIENT_CERT = 0x20, 0x22, 0x28
SSL, CERT_CONN, CERT_SESS = 1, 2, 4


@functools.lru_cache(maxsize=None)
def root():
    return authority.Authority("Root")


@functools.lru_cache(maxsize=None)
def below():
    return authority.Authority("Below", root())


def identity(version, client=None):
    tls = clients.context(version)
    if client:
        tls.load_cert_chain(client.chain, client.key)
    return tls


def leaf(of):
    return ssl.PEM_cert_to_DER_cert(authority.read(of.chain).partition("-----END")[0]
                                    + "-----END CERTIFICATE-----\n")


class ClientCertificates(harness.SystemTest):
    def start(self, policy, trusted=None, inner="", backend="proxy-client-certificate = yes",
              **options):
        """`policy`: directives of the frontend. `trusted`: authorities, the root by default."""
        self.headers = queue.Queue()

        def handler(connection):
            self.headers.put(backends.read_proxy_v2(connection))
            backends.echo(connection)

        self.ca_file = self.path("clients.pem")
        with open(self.ca_file, "w", encoding="ascii") as out:
            out.write("".join(authority.read(each.certificate) for each in trusted or [root()]))
        app = self.own(backends.Backend(handler))
        self.proxy = self.start_proxy(
            [certificate("p-256")], app.address, workers=1,
            frontend=f'client-ca-file = "{self.ca_file}"\n{policy}\n{inner}',
            backend_options=f"proxy-protocol = v2 {backend}", **options)

    def path(self, name):
        return os.path.join(self.directory, name)

    def visit(self, tls, name="localhost", session=None):
        """(was it resumed, the session, what the backend heard: the flags, whether the client was
        verified, and the fields)"""
        with clients.connect(self.proxy.port, tls, name, session) as connection:
            clients.echo_once(connection)
            heard = self.headers.get(timeout=harness.LIMIT)["tlvs"][PP2_SSL]
            flags, verified = heard[0], int.from_bytes(heard[1:5], "big") == 0
            return (connection.session_reused, connection.session,
                    (flags, verified, backends.read_tlvs(heard[5:])))

    def alert(self, tls, name="localhost", session=None):
        """The alert that a client gets: with TLS 1.3 when it reads."""
        with self.assertRaises(ssl.SSLError) as caught:
            with clients.connect(self.proxy.port, tls, name, session) as connection:
                connection.recv(1)
        return caught.exception.reason

    def wait_for_line(self, *parts):
        def there():
            return any(all(part in line for part in parts) for line in self.proxy.log().splitlines())
        harness.wait_until(there, lambda: f"a line with {parts} in\n{self.proxy.log()}")

    def reload(self):
        before = self.proxy.log().count("is in force")
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count("is in force") > before, "the reload")

    def assert_refused(self, client, reason, line, name="localhost"):
        """In both versions; at most one line is written in a second."""
        reasons = reason if isinstance(reason, dict) else dict.fromkeys(BOTH, reason)
        for version in BOTH:
            with self.subTest(version=version):
                seen = len(self.proxy.log())

                def logged():
                    self.assertEqual(self.alert(identity(version, client), name), reasons[version])
                    return line in self.proxy.log()[seen:]
                harness.wait_until(logged, lambda: f"'{line}' in\n{self.proxy.log()[seen:]}", pause=0.3)


class Refusals(ClientCertificates):
    """Each with its alert and its line."""

    def test_none(self):
        self.start("client-certificate = required")
        self.assert_refused(None, {clients.TLS12: "SSLV3_ALERT_HANDSHAKE_FAILURE",
                                   clients.TLS13: "TLSV13_ALERT_CERTIFICATE_REQUIRED"},
                            "certificate none: refused: peer did not return a certificate")

    def test_unknown_authority(self):
        self.start("client-certificate = optional")
        client = authority.Authority("Stranger").client("eve")
        self.assert_refused(client, "TLSV1_ALERT_UNKNOWN_CA", "certificate CN=eve: refused: ")
        self.wait_for_line('frontend "https"', "client 127.0.0.1:", 'server name "localhost"')

    def test_times(self):
        self.start("client-certificate = required")
        self.assert_refused(root().client("old", begin=-7200, end=-3600),
                            "SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate has expired")
        self.assert_refused(root().client("early", begin=3600),
                            "SSLV3_ALERT_BAD_CERTIFICATE", "certificate is not yet valid")

    def test_wrong_purpose(self):
        self.start("client-certificate = required")
        self.assert_refused(root().client("server", use="serverAuth"),
                            "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "certificate CN=server: refused: ")

    def test_depth(self):
        self.start("client-certificate = required client-depth = 0")
        self.visit(identity(None, root().client("near")))
        self.assert_refused(below().client("far"), "TLSV1_ALERT_UNKNOWN_CA",
                            "certificate CN=far: refused: certificate chain too long")

    def test_more_certificates_than_the_depth_allows(self):
        self.start("client-certificate = required client-depth = 1")
        client = root().client("many", more=authority.read(root().certificate) * 3)
        self.assert_refused(client, "TLSV1_ALERT_UNKNOWN_CA",
                            "it came with more certificates than client-depth allows")

    def test_more_certificates_than_are_parsed(self):
        self.start("client-certificate = required client-depth = 8")
        client = root().client("many", more=authority.read(root().certificate) * 10)
        self.assert_refused(client, "TLSV1_ALERT_DECODE_ERROR",
                            "it came with too many certificates")

    def test_a_message_longer_than_16_kib(self):
        self.start("client-certificate = required")
        names = [f"{number}.{'x' * 60}.example" for number in range(300)]
        client = root().client("huge", names=names)
        for version in BOTH:  # the rest of the message makes a reset of the end, without the alert
            with self.assertRaises(OSError):
                self.visit(identity(version, client))
        self.wait_for_line("certificate none: refused: excessive message size")

    def test_keys_that_cost_much(self):
        """They are refused before any signature is verified: none of these has a right one."""
        self.start("client-certificate = required")
        for kind in (["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
                     ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt",
                      "ec_param_enc:explicit"],
                     ["rsa:4104"],
                     ["rsa:2048", "-pkeyopt", f"rsa_keygen_pubexp:{2**40 + 15}"]):
            odd = authority.Authority("Odd", kind=kind)
            client = root().client("costly", more=authority.read(odd.certificate))
            self.assert_refused(client, "SSLV3_ALERT_BAD_CERTIFICATE",
                                "a key in its chain is of a kind or size that is not accepted")

    def test_long_certificate(self):
        self.start("client-certificate = required")
        names = [f"{number}.{'x' * 60}.example" for number in range(110)]
        self.assert_refused(root().client("long", names=names), "SSLV3_ALERT_BAD_CERTIFICATE",
                            "certificate CN=long: refused: it is too long")

    def test_control_characters_of_a_subject_stay_out_of_the_log(self):
        self.start("client-certificate = required")
        client = authority.Authority("Stranger").client("a\nb")
        self.assert_refused(client, "TLSV1_ALERT_UNKNOWN_CA", r"certificate CN=a\0Ab: refused: ")

    def test_a_flood_of_refusals_has_few_lines(self):
        self.start("client-certificate = required")
        for _ in range(harness.scaled(60, 20)):
            self.alert(identity(clients.TLS13))

        def told():
            self.alert(identity(clients.TLS13))
            return "more since the last such line)" in self.proxy.log()
        harness.wait_until(told, "a line that counts the others", pause=0.3)
        self.assertLess(self.proxy.log().count("refused: "), 20)


class Accepted(ClientCertificates):
    def test_each_kind_of_key(self):
        self.start("client-certificate = required")
        for kind in ("p-256", "p-384", "p-521", "rsa-2048", "rsa-pss", "ed25519"):
            for version in BOTH:
                if (kind, version) == ("p-521", clients.TLS12):
                    continue  # TLS 1.2: the curve must be one of `groups` (RFC 8422, section 5.1)
                with self.subTest(kind=kind, version=version):
                    client = root().client(f"{kind} client", kind)
                    _, _, (flags, verified, fields) = self.visit(identity(version, client))
                    self.assertEqual((flags, verified), (SSL | CERT_CONN | CERT_SESS, True))
                    self.assertEqual(fields[PP2_SSL_CN], f"{kind} client".encode())
                    self.assertEqual(fields[PP2_SSL_CLIENT_CERT], leaf(client))

    def test_optional(self):
        self.start("client-certificate = optional", trusted=[root()], backend="")
        for version in BOTH:
            _, _, (flags, verified, fields) = self.visit(identity(version))
            self.assertEqual((flags, verified), (SSL, False))
            self.assertNotIn(PP2_SSL_CN, fields)
            client = below().client("Zoë")
            _, _, (flags, verified, fields) = self.visit(identity(version, client))
            self.assertEqual((flags, verified), (SSL | CERT_CONN | CERT_SESS, True))
            self.assertEqual(fields[PP2_SSL_CN], "Zoë".encode())
            self.assertNotIn(PP2_SSL_CLIENT_CERT, fields)  # only by option

    def test_not_asked(self):
        """Files may be named by the frontend for the sake of its routes."""
        self.start("client-certificate = none", inner="""
            route "private" { names = private.example client-certificate = required }""")
        client = root().client("ann")
        for version in BOTH:
            self.assertEqual(self.visit(identity(version, client))[2][:2], (SSL, False))
            self.visit(identity(version, client), "private.example")
            self.alert(identity(version), "private.example")

    def test_a_route_need_not_ask_what_its_frontend_asks(self):
        self.start("client-certificate = required", inner="""
            route "public" { names = public.example client-certificate = none }""")
        for version in BOTH:
            self.assertEqual(self.visit(identity(version), "public.example")[2][:2], (SSL, False))
            self.alert(identity(version))

    def names_told(self):
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.port}"],
            input=b"", capture_output=True, timeout=harness.LIMIT, check=False).stdout.decode()
        return "Acceptable client certificate CA names\nCN=Root" in shown.replace(" = ", "=")

    def test_names_of_authorities(self):
        self.start("client-certificate = optional")
        self.assertTrue(self.names_told())
        self.start("client-certificate = optional client-ca-names = no")
        self.assertFalse(self.names_told())

    def test_openssl(self):
        self.start("client-certificate = required")
        client = root().client("s_client")
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.proxy.port}", "-quiet",
             "-no_ign_eof", "-cert", client.chain, "-key", client.key],
            input=b"hello\n", capture_output=True, timeout=harness.LIMIT, check=False)
        self.assertEqual(self.headers.get(timeout=harness.LIMIT)["tlvs"][PP2_SSL][0],
                         SSL | CERT_CONN | CERT_SESS, shown.stderr)

    @harness.needs("curl")
    def test_curl(self):
        self.start("client-certificate = required")
        client = root().client("curl")

        def fetch(*options):
            return subprocess.run(
                ["curl", "-sk", "--max-time", "3", "--http0.9", *options,
                 f"https://localhost:{self.proxy.port}/"],
                capture_output=True, timeout=harness.LIMIT, check=False)
        self.assertIn(b"GET / HTTP", fetch("--cert", client.chain, "--key", client.key).stdout)
        self.assertNotIn(b"GET / HTTP", fetch().stdout)

    def browse(self, client):
        """Starts Chromium with the client's certificate in its NSS database. Its policy chooses that
        certificate, where a person would; the machine's own policies are hidden meanwhile."""
        database, policies, bundle = map(self.path, (".pki/nssdb", "etc/policies/managed", "ann.p12"))
        os.makedirs(database)
        os.makedirs(policies)
        with open(os.path.join(policies, "choose.json"), "w", encoding="ascii") as out:
            json.dump({"AutoSelectCertificateForUrls": [json.dumps({"pattern": "*", "filter": {}})]}, out)
        for command in (
                ["openssl", "pkcs12", "-export", "-in", client.chain, "-inkey", client.key, "-out",
                 bundle, "-passout", "pass:x"],
                ["certutil", "-N", "--empty-password", "-d", f"sql:{database}"],
                ["pk12util", "-i", bundle, "-W", "x", "-K", "", "-d", f"sql:{database}"]):
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment["HOME"] = self.directory
        with open(self.path("chromium.log"), "wb") as log:
            return subprocess.Popen(
                ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/chromium && exec "$@"',
                 self.path("etc"), shutil.which("chromium"), "--headless", "--no-sandbox",
                 "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--ignore-certificate-errors", "--disable-dev-shm-usage", "--no-proxy-server",
                 "--remote-debugging-port=0", f"--user-data-dir={self.path('profile')}",
                 f"https://localhost:{self.proxy.port}/"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True)

    @harness.needs("chromium", "certutil", "pk12util", "unshare")
    @harness.needs_root("Chromium takes policies from /etc only")
    def test_chromium(self):
        self.start("client-certificate = required")
        browser = self.browse(root().client("chromium"))
        try:
            heard = self.headers.get(timeout=harness.LIMIT)["tlvs"][PP2_SSL]
        finally:
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait()
        self.assertEqual(backends.read_tlvs(heard[5:])[PP2_SSL_CN], b"chromium")


class Lists(ClientCertificates):
    def setUp(self):
        super().setUp()
        self.root = authority.Authority("Listed Root")
        self.below = authority.Authority("Listed Below", self.root)
        self.crl = self.path("crl.pem")

    def write(self, *lists):
        with open(self.crl, "w", encoding="ascii") as out:
            out.write("".join(lists))

    def start_with_lists(self, path=None, trusted=None, inner=""):
        self.start(f'client-certificate = required client-crl = "{path or self.crl}"',
                   trusted or [self.root, self.below], inner)

    def test_revoked(self):
        ann, bob = self.below.client("ann"), self.below.client("bob")
        self.below.revoke(bob)
        self.write(self.root.list(), self.below.list())
        self.start_with_lists()
        for version in BOTH:
            self.visit(identity(version, ann))
        self.assert_refused(bob, "SSLV3_ALERT_CERTIFICATE_REVOKED",
                            "certificate CN=bob: refused: certificate revoked")

    def test_an_authority_is_revoked(self):
        ann = self.below.client("ann")
        self.root.revoke(certificate("p-256")._replace(chain=self.below.certificate))
        self.write(self.root.list(), self.below.list())
        self.start_with_lists()
        self.assert_refused(ann, "SSLV3_ALERT_CERTIFICATE_REVOKED", "certificate revoked")

    def test_a_list_for_each_authority(self):
        near, far = self.root.client("near"), self.below.client("far")
        self.write(self.root.list())
        self.start_with_lists()
        self.visit(identity(None, near))
        self.assert_refused(far, "TLSV1_ALERT_UNKNOWN_CA", "unable to get certificate CRL")

    def test_a_list_that_is_not_in_force(self):
        ann = self.root.client("ann")
        self.write(self.root.list(begin=-7200, end=-3600))
        self.start_with_lists()
        self.wait_for_line("the list of /CN=Listed Root has expired: its clients are refused")
        self.assert_refused(ann, "SSLV3_ALERT_CERTIFICATE_EXPIRED", "CRL has expired")
        self.write(self.root.list(begin=3600))
        self.start_with_lists()
        self.assert_refused(ann, "SSLV3_ALERT_BAD_CERTIFICATE", "CRL is not yet valid")

    def test_a_folder_and_the_latest_list(self):
        bob = self.root.client("bob")
        folder = self.path("lists")
        os.mkdir(folder)
        old = self.root.list(begin=-7200)
        self.root.revoke(bob)
        for name, text in (("a", old), ("b", self.root.list()), ("c", old), (".hidden", "nothing")):
            with open(os.path.join(folder, name), "w", encoding="ascii") as out:
                out.write(text)
        self.start_with_lists(folder)
        self.assert_refused(bob, "SSLV3_ALERT_CERTIFICATE_REVOKED", "certificate revoked")

    def test_what_happens_to_the_files_has_no_effect_before_a_good_reload(self):
        ann, bob = self.root.client("ann"), self.root.client("bob")
        self.root.revoke(bob)
        self.write(self.root.list())
        self.start_with_lists()
        self.write("nonsense")
        os.unlink(self.ca_file)
        self.proxy.signal(signal.SIGHUP)
        self.wait_for_line("error", "client-ca-file", "clients.pem: No such file")
        before = self.proxy.worker()
        os.kill(before, signal.SIGKILL)
        harness.wait_until(lambda: self.proxy.worker() not in (0, before), "another worker")
        for version in BOTH:
            self.visit(identity(version, ann))
            self.assertEqual(self.alert(identity(version, bob)), "SSLV3_ALERT_CERTIFICATE_REVOKED")

    def test_a_new_list_counts_from_reload_on(self):
        """It ends sessions, too: that of the revoked client and, at the price of one full handshake,
        those of others."""
        ann, bob = self.root.client("ann"), self.root.client("bob")
        self.write(self.root.list())
        self.start_with_lists()
        kept = {}
        for version in BOTH:
            for client in (ann, bob):
                tls = identity(version, client)
                kept[version, client] = tls, self.visit(tls)[1]
                self.assertTrue(self.visit(*self.last(kept, version, client))[0])
        self.root.revoke(bob)
        self.write(self.root.list())
        self.reload()
        for version in BOTH:
            tls, name, session = self.last(kept, version, bob)
            self.assertEqual(self.alert(tls, name, session), "SSLV3_ALERT_CERTIFICATE_REVOKED")
            resumed, _, (_, verified, _) = self.visit(*self.last(kept, version, ann))
            self.assertEqual((resumed, verified), (False, True))

    def test_a_new_list_counts_beside_a_folder_of_certificates(self):
        """HUP brings changes of the folder alone without another worker, but a list is more."""
        made, folder = certificate("p-256", "folder.example"), self.path("certs")
        os.mkdir(folder, 0o755)
        shutil.copy(made.chain, os.path.join(folder, "folder.crt"))
        shutil.copy(made.key, os.path.join(folder, "folder.key"))
        bob = self.root.client("bob")
        self.write(self.root.list())
        self.start_with_lists(inner=f'certificates = "{folder}"')
        worker = self.proxy.worker()
        self.reload()
        self.assertEqual(self.proxy.worker(), worker)
        self.visit(identity(None, bob), "folder.example")
        self.root.revoke(bob)
        self.write(self.root.list())
        self.reload()
        for version in BOTH:
            self.assertEqual(self.alert(identity(version, bob), "folder.example"),
                             "SSLV3_ALERT_CERTIFICATE_REVOKED")

    @staticmethod
    def last(kept, version, client):
        tls, session = kept[version, client]
        return tls, "localhost", session


class Sessions(ClientCertificates):
    def test_the_backend_hears_the_same_again(self):
        self.start("client-certificate = optional")
        client = root().client("again")
        for version in BOTH:
            tls = identity(version, client)
            _, session, (_, _, first) = self.visit(tls)
            for _ in range(2):
                resumed, session, (flags, verified, fields) = self.visit(tls, session=session)
                self.assertEqual((resumed, flags, verified), (True, SSL | CERT_SESS, True))
                for field in (PP2_SSL_CN, PP2_SSL_CLIENT_CERT):
                    self.assertEqual(fields[field], first[field])

    def test_not_after_the_certificate_has_expired(self):
        """A resumption brings a new ticket, which does not live longer."""
        self.start("client-certificate = required")
        made = time.time()
        client = root().client("brief", end=6)
        kept = []
        for version in BOTH:
            tls = identity(version, client)
            _, session, _ = self.visit(tls)
            resumed, following, _ = self.visit(tls, session=session)
            self.assertTrue(resumed)
            kept += [(tls, session), (tls, following)]
        harness.wait_until(lambda: time.time() > made + 8, "the certificate to expire")
        for tls, session in kept:
            self.assertEqual(self.alert(tls, session=session), "SSLV3_ALERT_CERTIFICATE_EXPIRED")

    def test_not_after_the_list_has_expired(self):
        own = authority.Authority("Brief")
        client, crl = own.client("ann"), self.path("crl.pem")
        made = time.time()
        with open(crl, "w", encoding="ascii") as out:
            out.write(own.list(end=6))
        self.start(f'client-certificate = required client-crl = "{crl}"', [own])
        kept = [(tls, self.visit(tls)[1]) for tls in (identity(each, client) for each in BOTH)]
        harness.wait_until(lambda: time.time() > made + 8, "the list to expire")
        for tls, session in kept:
            self.assertEqual(self.alert(tls, session=session), "SSLV3_ALERT_CERTIFICATE_EXPIRED")

    def test_not_at_another_name_or_route(self):
        self.start("client-certificate = optional", inner="""
            route "a" { names = { a.example, b.example } client-certificate = required }
            route "c" { names = c.example client-certificate = required client-depth = 1 }
            route "d" { names = d.example client-certificate = none }""")
        client = root().client("ann")
        names = ("localhost", "a.example", "b.example", "c.example", "d.example")
        for version in BOTH:
            tls = identity(version, client)
            for made in names:
                _, session, _ = self.visit(tls, made)
                for other in names:
                    with self.subTest(version=version, made=made, other=other):
                        resumed, _, (flags, _, _) = self.visit(tls, other, session)
                        self.assertEqual(resumed, made == other)
                        self.assertEqual(bool(flags & CERT_SESS), other != "d.example")

    def test_without_a_certificate_where_one_has_become_required(self):
        self.start("client-certificate = optional")
        kept = [(tls, self.visit(tls)[1]) for tls in (identity(each) for each in BOTH)]
        self.proxy.write_config(self.proxy.config.replace("= optional", "= required"))
        self.reload()
        for tls, session in kept:
            self.alert(tls, session=session)

    def test_by_ticket_only(self):
        """A session with an identity is not kept by its id; one without is."""
        self.start("client-certificate = optional")
        for client, resumed in ((None, True), (root().client("ann", "ed25519"), False)):
            tls = identity(clients.TLS12, client)
            tls.options |= ssl.OP_NO_TICKET
            _, session, _ = self.visit(tls)
            self.assertEqual(self.visit(tls, session=session)[0], resumed)


class Configuration(ClientCertificates):
    def refusal(self, policy, ca=None, crl=None, options=""):
        """What `--test` says."""
        paths = {"ca": ca, "crl": crl}
        for name, text in paths.items():
            with open(self.path(name), "w", encoding="ascii") as out:
                out.write(text or "")
        made = certificate("p-256")
        path = self.path("refused.conf")
        with open(path, "w", encoding="ascii") as out:
            out.write(harness.proxy_config(harness.free_port(), harness.free_port(), [made],
                                           "127.0.0.1:1", frontend=policy, backend_options=options))
        ended = subprocess.run([harness.program_path("immure-proxy"), "--config", path, "--test"],
                               capture_output=True, timeout=harness.LIMIT, check=False)
        self.assertNotEqual(ended.returncode, 0)
        return ended.stderr.decode()

    def test_certificates_for_backends_need_version_2(self):
        self.assertIn("proxy-client-certificate = yes needs proxy-protocol = v2",
                      self.refusal("", options="proxy-client-certificate = yes"))

    def test_each_fault(self):
        asks = "client-certificate = required"
        both = f"{asks} client-ca-file = ca client-crl = crl"
        own, other = authority.Authority("Own"), authority.Authority("Other")
        ca = authority.read(own.certificate)
        for policy, files, said in (
                (asks, (), "client-certificate needs 'client-ca-file'"),
                (f"{asks} client-ca-file = absent", (), "absent: No such file"),
                (f"{asks} client-ca-file = ca", (), "ca: holds no PEM certificate"),
                (f"{asks} client-ca-file = ca client-crl = absent", (ca,), "absent: No such file"),
                (both, (ca,), "crl: holds no PEM revocation list"),
                (both, (ca, ca), "crl: holds no PEM revocation list"),
                (both, (ca, other.list()), "the list of /CN=Other is signed by no CA"),
                (both, (ca, own.list("-crlexts", "partial")),
                 "the list of /CN=Own has a critical extension"),
                (both, (ca, own.list()[:-30]), "crl: holds no PEM revocation list")):
            with self.subTest(policy=policy, said=said):
                self.assertIn(said, self.refusal(policy, *files))


if __name__ == "__main__":
    harness.main()

"""Odd chains that can be served cause a log line at start and after HUP and a gauge, and are
served. Chains that cannot be served cause an error that names file and reason."""

import os
import re
import shutil
import signal
import subprocess
import time

import backends
import clients
import harness
from certificates import Certificate, certificate

DAY = 24 * 3600
CONFIG = """
[ca]
default_ca = this
[this]
database = {0}/index
new_certs_dir = {0}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """`openssl ca`, with which validity dates can be chosen."""

    def __init__(self, directory, name):
        self.base = os.path.join(directory, name)
        os.mkdir(self.base)
        self.config = os.path.join(self.base, "ca.cnf")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(self.base))
        with open(os.path.join(self.base, "index"), "w", encoding="ascii"):
            pass
        self.own = self.issue(name, extension="basicConstraints=critical,CA:TRUE", by=None)

    def issue(self, name, begin=-DAY, end=DAY, extension=None, by="own", curve="P-256"):
        """A certificate for `name`, from `begin` to `end` (seconds from now); None: self-signed."""
        base = os.path.join(self.base, name)
        extensions = [f"subjectAltName=DNS:{name}"] + ([extension] if extension else [])
        self.openssl("req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}",
                     "-subj", f"/CN={name}", "-keyout", base + ".key", "-out", base + ".csr",
                     *(word for each in extensions for word in ("-addext", each)))
        signer = (["-selfsign", "-keyfile", base + ".key"] if by is None else
                  ["-cert", self.own.chain, "-keyfile", self.own.key])
        self.openssl("ca", "-config", self.config, "-batch", "-notext", *signer,
                     "-in", base + ".csr", "-out", base + ".crt",
                     "-startdate", stamp(begin), "-enddate", stamp(end))
        return Certificate(base + ".crt", base + ".key", (name,), curve.lower())

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True)


def stamp(seconds):
    return time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))


def joined(base, *of):
    """One chain file of several, in this order."""
    path = base + ".chain"
    with open(path, "w", encoding="ascii") as out:
        for each in of:
            with open(each.chain, encoding="ascii") as file:
                out.write(file.read())
    return path


class ChainProblems(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.directory, "authority")
        self.backend = self.own(backends.Backend(backends.echo))

    def problems(self):
        """{file: set of problems}, of the metrics and of status.json alike."""
        found = {}
        for file, problem, value in re.findall(
                r'immure_certificate_problem\{[^}]*file="([^"]*)",problem="([^"]*)"\} ([01])',
                self.proxy.get("/metrics")):
            found.setdefault(os.path.basename(file), set()).update([problem] if value == "1" else [])
        self.assertEqual(found, {os.path.basename(row["file"]): set(row["problems"])
                                 for row in self.proxy.status()["certificates"]})
        return found

    def test_each_problem(self):
        issue = self.authority.issue
        chained = issue("good.example")
        chained = chained._replace(chain=joined(chained.chain, chained, self.authority.own))
        stranger = Authority(self.directory, "stranger")
        misordered = issue("misordered.example")
        misordered = misordered._replace(chain=joined(misordered.chain, misordered, stranger.own))
        served = [chained, issue("expired.example", -2 * DAY, -DAY), issue("early.example", DAY, 2 * DAY),
                  issue("staple.example", extension="tlsfeature=status_request"), misordered]
        self.proxy = self.start_proxy(served, self.backend.address)
        self.assertEqual(self.problems(), {
            "good.example.crt.chain": set(), "expired.example.crt": {"expired"},
            "early.example.crt": {"not-yet-valid"}, "staple.example.crt": {"must-staple"},
            "misordered.example.crt.chain": {"misordered"}})
        texts = {"expired.example.crt": "it, or one above it, has expired",
                 "early.example.crt": "it, or one above it, is not valid yet",
                 "staple.example.crt": "it asks for a stapled OCSP response, which is not served",
                 "misordered.example.crt.chain": "a certificate in it is not issued by the one that follows"}
        for times in (1, 2):
            lines = [line for line in self.proxy.log().splitlines() if ": certificate: " in line]
            self.assertEqual(len(lines), times * len(texts), lines)
            for file, text in texts.items():
                self.assertEqual(sum(f"{file}: {text}" in line for line in lines), times)
            before = self.proxy.log().count("is in force")
            self.proxy.signal(signal.SIGHUP)
            harness.wait_until(lambda before=before: self.proxy.log().count("is in force") > before,
                               "the reload")
        for each in served:
            with clients.connect(self.proxy.port, name=each.names[0]) as connection:
                clients.echo_once(connection)

    def test_it_expires_while_it_is_served(self):
        lived = harness.scaled(4, 15)
        self.proxy = self.start_proxy([self.authority.issue("short.example", end=lived)],
                                      self.backend.address)
        harness.wait_until(lambda: self.proxy.status()["certificates"][0]["problems"] == ["expired"], "the end of it")
        self.assertEqual(self.problems(), {"short.example.crt": {"expired"}})

    def refusal(self, served, **options):
        """The error of a program that does not start."""
        config = harness.proxy_config(harness.free_port(), harness.free_port(), served,
                                      self.backend.address, **options)
        path = os.path.join(self.directory, "refused.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(config)
        done = subprocess.run([harness.program_path("immure-proxy"), "--test", "--config", path],
                              capture_output=True, text=True, timeout=harness.LIMIT, check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_a_key_that_openssl_refuses(self):
        weak = os.path.join(self.directory, "weak")
        Authority.openssl("req", "-x509", "-nodes", "-newkey", "rsa:1024", "-subj", "/CN=weak",
                          "-keyout", weak + ".key", "-out", weak + ".crt")
        said = self.refusal([Certificate(weak + ".crt", weak + ".key", ("weak",), "rsa-1024")],
                            signing="in-process")
        self.assertIn(f"certificate: {weak}.crt: OpenSSL refuses it: ee key too small", said)

    def test_settings_that_cannot_work(self):
        for frontend, text in {
                'ciphers = "AES128-GCM-SHA256"': 'ciphers: none of "AES128-GCM-SHA256" has an ECDHE key '
                                                 'exchange signed with ECDSA or Ed25519',
                'ciphers = "ECDHE-RSA-AES128-GCM-SHA256"': "exchange signed with ECDSA or Ed25519",
                'ciphers = "NONSENSE"': 'ciphers: OpenSSL knows no cipher of "NONSENSE"',
                'ciphersuites = "TLS_NONSENSE"': 'ciphersuites: OpenSSL does not know "TLS_NONSENSE"',
                'groups = "X25519:P-257"': 'groups: OpenSSL knows no group "P-257"'}.items():
            with self.subTest(frontend=frontend):
                self.assertIn(f'frontend "https": {text}' if text[0] in "cg" else text,
                              self.refusal([certificate("p-256")], frontend=frontend))


class Staples(harness.SystemTest):
    """OCSP responses beside the certificates of a folder, for clients that ask."""

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.directory, "authority")
        self.folder = os.path.join(self.directory, "folder")
        os.mkdir(self.folder)

    def add(self, name, about=None):
        """A certificate with a response about it, or about another."""
        issued = self.authority.issue(name)
        base = os.path.join(self.folder, name)
        shutil.copy(issued.chain, base + ".crt")
        shutil.copy(issued.key, base + ".key")
        own = self.authority.own
        self.authority.openssl(
            "ocsp", "-issuer", own.chain, "-cert", (about or issued).chain, "-no_nonce", "-reqout", base + ".request")
        self.authority.openssl(
            "ocsp", "-index", os.path.join(self.authority.base, "index"), "-CA", own.chain, "-rsigner", own.chain,
            "-rkey", own.key, "-ndays", "1", "-reqin", base + ".request", "-respout", base + ".ocsp")
        return issued

    def test_staples(self):
        good = self.add("good.example")
        self.add("wrong.example", about=good)
        backend = self.own(backends.Backend(backends.echo))
        proxy = self.start_proxy([certificate("p-256")], backend.address,
                                 frontend=f'certificates = "{self.folder}"')
        for version in ("-tls1_2", "-tls1_3"):
            output, fine = clients.s_client(proxy.port, version, "-status", name="good.example")
            self.assertTrue(fine, output)
            self.assertIn("Cert Status: good", output)
            for name in ("wrong.example", "localhost"):
                output, fine = clients.s_client(proxy.port, version, "-status", name=name)
                self.assertTrue(fine, output)
                self.assertIn("OCSP response: no response sent", output)
            output, fine = clients.s_client(proxy.port, version, name="good.example")
            self.assertTrue(fine, output)
            self.assertNotIn("OCSP", output)
        self.assertRegex(proxy.log(), "wrong.example.crt: its OCSP response cannot be read, is out of date or malformed, or does not")
        self.assertNotIn("good.example.crt: ", proxy.log())
        self.assertEqual({row["names"]: row["problems"] for row in proxy.status()["certificates"]},
                         {"localhost, ip:127.0.0.1": [], "good.example": [], "wrong.example": ["bad-staple"]})


if __name__ == "__main__":
    harness.main()

"""Throw-away certification authorities for client certificates, made with `openssl ca`."""

import os
import subprocess
import tempfile
import time

import certificates

CONFIG = """
[ca]
default_ca = own
[own]
dir = {base}
database = {base}/index
serial = {base}/serial
new_certs_dir = {base}
certificate = {base}/ca.crt
private_key = {base}/ca.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[ca_extensions]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[partial]
issuingDistributionPoint = critical,@users
[users]
onlyuser = TRUE
[client_extensions]
extendedKeyUsage = {use}
"""


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                          capture_output=True).stdout


def moment(seconds_from_now):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds_from_now))


class Authority:
    """A root, or below another authority. `chain`: the path of its own certificate, followed by
    those above it except for the root."""

    def __init__(self, name="Root", above=None, kind="p-256"):
        self.base = tempfile.mkdtemp(prefix="authority-", dir=certificates.directory())
        self.name, self.above = name, above
        self.certificate, self.key = self.path("ca.crt"), self.path("ca.key")
        for file, content in (("index", ""), ("serial", "1000\n")):
            with open(self.path(file), "w", encoding="ascii") as out:
                out.write(content)
        self.write_config("clientAuth")
        self.new_key(self.key, self.path("ca.csr"), f"/CN={name}", kind)
        signer = above or self
        own = () if above else ("-selfsign", "-keyfile", self.key)
        signer.sign(self.path("ca.csr"), self.certificate, "ca_extensions", 0, 30 * 86400, *own)

    def path(self, name):
        return os.path.join(self.base, name)

    def write_config(self, use):
        with open(self.path("config"), "w", encoding="ascii") as out:
            out.write(CONFIG.format(base=self.base, use=use))

    @staticmethod
    def new_key(key, request, subject, kind, *options):
        """`kind`: one of certificates.KINDS, or its arguments."""
        openssl("req", "-new", "-nodes", "-subj", subject, "-utf8", "-keyout", key, "-out", request,
                "-newkey", *(certificates.KINDS[kind] if isinstance(kind, str) else kind), *options)

    def sign(self, request, certificate, extensions, begin, end, *options):
        openssl("ca", "-batch", "-notext", "-config", self.path("config"), "-extensions", extensions,
                "-startdate", moment(begin), "-enddate", moment(end), "-in", request,
                "-out", certificate, *options)

    def chain(self):
        """PEM of what a client sends behind its own certificate."""
        return read(self.certificate) + self.above.chain() if self.above else ""

    def client(self, name, kind="p-256", begin=-60, end=86400, use="clientAuth", more="",
               names=()):
        """A certificate for a client, with a key of its own. `more`: PEM that it sends as well."""
        base = self.path(f"client-{len(os.listdir(self.base))}")
        alternative = ("-addext", "subjectAltName=" + ",".join(f"DNS:{each}" for each in names))
        self.new_key(base + ".key", base + ".csr", f"/CN={name}", kind,
                     *(alternative if names else ()))
        self.write_config(use)
        self.sign(base + ".csr", base + ".crt", "client_extensions", begin, end)
        chain = base + ".chain"
        with open(chain, "w", encoding="ascii") as out:
            out.write(read(base + ".crt") + self.chain() + more)
        return certificates.Certificate(chain, base + ".key", (name,), kind)

    def revoke(self, client):
        openssl("ca", "-config", self.path("config"), "-revoke", client.chain)

    def list(self, *options, begin=-60, end=86400):
        """The PEM of a new revocation list."""
        return openssl("ca", "-gencrl", "-config", self.path("config"), "-crl_lastupdate",
                       moment(begin), "-crl_nextupdate", moment(end), *options).decode()


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()

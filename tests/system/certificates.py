"""Throw-away certificates, made with the openssl program and kept for one run."""

import atexit
import collections
import functools
import os
import shutil
import ssl
import subprocess
import tempfile

Certificate = collections.namedtuple("Certificate", "chain key names kind")

KINDS = {  # arguments of `openssl req -newkey`
    "rsa-2048": ["rsa:2048"],
    "rsa-3072": ["rsa:3072"],
    "rsa-4096": ["rsa:4096"],
    "p-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p-384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p-521": ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["ed25519"],
    "rsa-pss": ["rsa-pss:2048"],
    "ml-dsa-65": ["ml-dsa-65"],  # from OpenSSL 3.5 on
}


@functools.lru_cache(maxsize=None)
def directory():
    path = tempfile.mkdtemp(prefix="immure-certificates-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    os.chmod(path, 0o755)
    return path


@functools.lru_cache(maxsize=None)
def certificate(kind="rsa-2048", *names, serial=1, address="127.0.0.1"):
    """A self-signed certificate. Another `serial` gives another key for the same names; `address` is
    one more of them."""
    names = names or ("localhost",)
    base = os.path.join(directory(), f"{kind}-{names[0].replace('*', '_')}-{serial}-{address}")
    alternative = ",".join(f"DNS:{name}" for name in names) + f",IP:{address}"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", f"/CN={names[0]}",
         "-addext", f"subjectAltName={alternative}", "-set_serial", str(serial),
         "-newkey", *KINDS[kind], "-keyout", base + ".key", "-out", base + ".crt"],
        check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return Certificate(base + ".crt", base + ".key", names, kind)


def der(made):
    """The DER of its first certificate."""
    with open(made.chain, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def encrypted(plain, pass_phrase):
    """The same certificate with its key encrypted, and the file that holds the pass phrase."""
    key = plain.key + ".encrypted"
    phrase = plain.key + ".phrase"
    with open(phrase, "w", encoding="ascii") as file:
        file.write(pass_phrase + "\n")
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", plain.key, "-out", key,
                    "-passout", "file:" + phrase],
                   check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return plain._replace(key=key), phrase

"""The OpenSSL provider as a module: its path, an openssl.cnf that loads it, and key references."""

import base64
import os
import textwrap

import harness

MODULES = os.path.abspath(os.path.join(harness.BIN, "../lib/ossl-modules"))

CONFIGURATION = """\
openssl_conf = openssl_init
config_diagnostics = 1

[openssl_init]
providers = providers
alg_section = algorithms

[providers]
{providers}

[default_section]
activate = 1

[immure_section]
activate = 1
{settings}

[algorithms]
{algorithms}
"""


def der(tag, *parts):
    """One element of DER, of at most 65535 bytes."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        head = bytes([length])
    elif length < 0x100:
        head = bytes([0x81, length])
    else:
        head = bytes([0x82, length >> 8, length & 0xFF])
    return bytes([tag]) + head + content


def pem(label, data):
    lines = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def reference(key, socket, key_id=None):
    """The text of a key reference (include/immure/reference.h), written independently of the C code."""
    return pem("IMMURE KEY REFERENCE", der(
        0x30, der(0x02, b"\x01"), der(0x0C, socket.encode()), der(0x04, key_id or key.id), key.spki))


def environment(directory, *, settings="", providers=("default", "immure"),
                algorithms="default_properties = ?provider!=immure"):
    """Environment variables under which OpenSSL finds and loads the module."""
    path = os.path.join(directory, f"openssl-{len(os.listdir(directory))}.cnf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(providers="\n".join(f"{each} = {each}_section" for each in providers),
                                        settings=settings, algorithms=algorithms))
    found = dict(os.environ, OPENSSL_CONF=path, OPENSSL_MODULES=MODULES)
    return found

"""Searches for the parts of a private key, in all forms in which memory may hold them."""

import base64
import re
import subprocess

PIECE = 16  # bytes; a run of twice this length is found at any offset


def private_numbers(path):
    """{name: big-endian bytes} of what is secret in a PEM key, as `openssl pkey -text` prints it."""
    text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], check=True,
                          capture_output=True, text=True).stdout
    secret = {"privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient", "priv"}
    found = {}
    for name, digits in re.findall(r"^(\w+):\s*\n((?:    [0-9a-f:]+\n)+)", text, re.MULTILINE):
        if name in secret:
            found[name] = bytes.fromhex(re.sub(r"[\s:]", "", digits)).lstrip(b"\0")
    return found


def pem_body(path):
    with open(path, encoding="ascii") as file:
        return "".join(line.strip() for line in file if not line.startswith("-----"))


def needles(path):
    """{what it is: bytes to look for}: pieces of every number in both byte orders, and of the base64
    text where it stands for nothing but secret numbers (the DER form is the big-endian numbers)."""
    found = {}
    der = base64.b64decode(pem_body(path))
    for name, number in private_numbers(path).items():
        for order, data in (("big-endian", number), ("little-endian", number[::-1])):
            for at in range(0, len(data) - PIECE + 1, PIECE):
                found[f"{name}, {order}, at {at}"] = data[at:at + PIECE]
        begin = der.find(number)
        if begin < 0:
            raise ValueError(f"{path}: {name} is not in the file as it is printed")
        for at in range((begin + 2) // 3 * 4, (begin + len(number)) // 3 * 4 - PIECE + 1, PIECE):
            found[f"{name}, base64, at {at}"] = pem_body(path)[at:at + PIECE].encode()
    return found


def memory(pid):
    """Yields the writable memory of a process, one mapping at a time, without empty pages."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        ranges = [line.split()[:2] for line in maps]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for span, rights in ranges:
            if not rights.startswith("rw"):
                continue
            begin, end = (int(each, 16) for each in span.split("-"))
            yield re.sub(rb"\0{64,}", bytes(64), read_range(mem, begin, end))


def read_range(mem, begin, end):
    """Reads a range; pages that cannot be read count as empty."""
    step, parts = 1 << 20, []
    for at in range(begin, end, step):
        try:
            mem.seek(at)
            parts.append(mem.read(min(step, end - at)))
        except OSError:
            parts.append(bytes(64))
    return b"".join(parts)


def search(pid, wanted):
    """The names of those needles that are in the memory of the process."""
    found = set()
    for block in memory(pid):
        found.update(name for name, data in wanted.items() if data in block)
    return found

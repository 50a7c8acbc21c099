"""A name server that a test plays, and the namespaces in which it is the system's."""

import ctypes
import os
import socket
import struct
import subprocess
import threading

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}


def become_the_system(directory, hosts=""):
    """From now on this process and its children have a network of their own, with a loopback, whose name
    server is at 127.0.0.1, and these lines in the hosts file."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for path, text in (("/etc/resolv.conf", "nameserver 127.0.0.1\n"), ("/etc/hosts", hosts)):
        own = os.path.join(directory, os.path.basename(path))
        with open(own, "w", encoding="ascii") as file:
            file.write(text)
        subprocess.run(["mount", "--bind", own, path], check=True)


class NameServer:
    """Answers for the names in `addresses`: {name: [address]}; any other does not exist."""

    def __init__(self, ttl=1, **addresses):
        self.addresses = dict(addresses)
        self.ttl = ttl
        self.silent = False
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.socket.settimeout(0.1)
        self.closing = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closing:
            try:
                query, client = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.asked += 1
            if not self.silent and query:
                self.socket.sendto(self.answer(query), client)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind, = struct.unpack_from("!H", query, at + 1)
        question = query[12:at + 5]
        known = self.addresses.get(".".join(labels))
        family = TYPES.get(kind)
        found = [address for address in known or () if (":" in address) == (family == socket.AF_INET6)]
        rows = b"".join(
            struct.pack("!HHHIH", 0xc00c, kind, 1, self.ttl, len(packed)) + packed
            for packed in (socket.inet_pton(family, address) for address in found)) if family else b""
        flags = 0x8180 if known is not None else 0x8183  # NXDOMAIN
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(found) if family else 0, 0, 0) + question + rows

    def close(self):
        self.closing = True
        self.thread.join()
        self.socket.close()

"""Debian's PostgreSQL with its key in immured, as docs/guides/postgresql.md says."""

import functools
import glob
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

import dropin
import dropin_servers
import harness
from certificates import directory

PROGRAMS = max(glob.glob("/usr/lib/postgresql/*/bin"), default="", key=lambda path: int(path.split("/")[4]))
CLUSTER = "/etc/postgresql/15/main"
SSL_REQUEST = struct.pack("!II", 8, 80877103)
STARTUP = struct.pack("!II", 23, 3 << 16) + b"user\0postgres\0\0"
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


@functools.lru_cache(maxsize=None)
def empty_cluster():
    """A folder that initdb has filled, to be copied."""
    path = tempfile.mkdtemp(prefix="postgresql-", dir=directory())
    shutil.chown(path, "postgres", "postgres")
    subprocess.run([*AS_POSTGRES, f"{PROGRAMS}/initdb", "--pgdata", path, "--auth=trust", "--no-sync",
                    "--username=postgres", "--locale=C", "--encoding=UTF8"], cwd="/", check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    with open(os.path.join(path, "postgresql.conf"), "a", encoding="ascii") as file:
        file.write("include_dir = 'conf.d'\nshared_buffers = 1MB\nmax_connections = 20\n"
                   "dynamic_shared_memory_type = mmap\nmin_dynamic_shared_memory = 0\n")
    os.mkdir(os.path.join(path, "conf.d"), mode=0o755)
    return path


@unittest.skipUnless(PROGRAMS, "not installed: PostgreSQL")
@harness.needs("psql", "setpriv")
class PostgreSQL(dropin_servers.ServerTests, dropin.DropIn):
    GUIDE = "postgresql"
    USER = "postgres"
    CERTIFICATE = CLUSTER + "/example.org.crt"
    SERVED = "TLSv1.3"

    def set_up_server(self):
        folder = self.path_of(CLUSTER)
        os.makedirs(os.path.dirname(folder))
        subprocess.run(["cp", "-a", empty_cluster(), folder], check=True)
        self.table["host=example.org"] = f"host=example.org hostaddr=127.0.0.1 port={self.port}"
        self.units["postgresql"] = dropin.Unit(
            self, [f"/usr/bin/{AS_POSTGRES[0]}", *AS_POSTGRES[1:], f"{PROGRAMS}/postgres", "-D", folder,
                   "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                   "-c", "unix_socket_directories="],
            self.is_up)

    def is_up(self):
        """It accepts before it is."""
        return "ready to accept connections" in self.errors()

    def exchange(self, version):
        with socket.create_connection(("127.0.0.1", self.port), timeout=harness.LIMIT) as raw:
            raw.sendall(SSL_REQUEST)
            if raw.recv(1) != b"S":
                raise AssertionError("PostgreSQL wants no TLS")
            with self.trusted[version].wrap_socket(raw, server_hostname=dropin.SITE) as connection:
                connection.sendall(STARTUP)
                reply = connection.recv(1)
                if reply != b"R":  # AuthenticationOk
                    raise AssertionError(repr(reply))

    def errors(self):
        return self.units["postgresql"].program.log()

    def assert_reloads(self):
        """Its processes end with their connections: it says that it has read the files again."""
        self.unit.reload()
        self.assert_logged("reloading configuration files")
        for version in dropin.VERSIONS:
            self.exchange(version)

    def reload_with(self, reference):
        self.write(CLUSTER + "/example.org.ref", reference)
        self.unit.reload()


if __name__ == "__main__":
    harness.main()

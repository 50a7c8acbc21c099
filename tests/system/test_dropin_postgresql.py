"""Debian's PostgreSQL with its key in immured, as docs/guides/postgresql.md says."""

import functools
import glob
import os
import shutil
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
AUTHENTICATION_OK = b"R" + struct.pack("!II", 8, 0)
AS_POSTGRES = dropin.as_user("postgres")


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
    RELOADED = "reloading configuration files"
    WORKERS = None  # they end with their connections
    SENT = struct.pack("!II", 23, 3 << 16) + b"user\0postgres\0\0"
    REPLY = AUTHENTICATION_OK

    def set_up_server(self):
        folder = self.path_of(CLUSTER)
        os.makedirs(os.path.dirname(folder))
        subprocess.run(["cp", "-a", empty_cluster(), folder], check=True)
        self.table["host=example.org"] = f"host=example.org hostaddr=127.0.0.1 port={self.port}"
        self.units["postgresql"] = dropin.Unit(
            self, [*AS_POSTGRES, f"{PROGRAMS}/postgres", "-D", folder, "-p", str(self.port),
                   "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
            self.is_up)

    def is_up(self):
        """The port accepts connections before the server is ready."""
        return "ready to accept connections" in self.errors()

    def before_tls(self, raw):
        raw.sendall(SSL_REQUEST)
        dropin_servers.expect(raw, b"S")


if __name__ == "__main__":
    harness.main()

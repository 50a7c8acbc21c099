"""Debian's servers of many kinds with their keys in immured, each as its guide in docs/guides says."""

import functools
import http.server
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import unittest

import dropin
import dropin_servers
import harness
from certificates import directory


class Backend:
    """An HTTP server that says what the tests of a server with pages expect."""

    def __init__(self):
        page = type("Page", (http.server.BaseHTTPRequestHandler,), {"do_GET": self.answer})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), page)
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def answer(request):
        request.log_request = lambda *_: None
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"served\n")

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ServiceTests(dropin_servers.ServerTests):
    """Those of a server with one port, PORT in its guide, that the guide tries with `openssl s_client`."""

    ETC = None  # the name of its folder in /etc, if it is not called like the guide
    PORT = "443"
    FOLDERS = ()  # that its package or its unit makes, owned by USER
    SERVED = "Verification: OK"
    OPTIONAL = RENEWAL = "A new certificate"

    def set_up_server(self):
        self.table[self.PORT] = str(self.port)
        self.table[f"{dropin.SITE}:{self.PORT}"] = f"127.0.0.1:{self.port}"
        self.copy_etc(self.ETC or self.GUIDE)
        for folder in self.FOLDERS:
            os.makedirs(self.path_of(folder))
            shutil.chown(self.path_of(folder), self.USER)

    def run_as(self, *command, **options):
        self.units[self.UNIT or self.GUIDE] = dropin.Unit(
            self, [self.substitute(word) for word in command], self.accepts, **options)

    def renew(self):
        self.carry_out(self.GUIDE, self.RENEWAL)


@harness.needs("lighttpd", "curl")
@unittest.skipUnless(os.path.exists("/usr/lib/lighttpd/mod_openssl.so"), "not installed: lighttpd-mod-openssl")
class Lighttpd(dropin_servers.Https, ServiceTests, dropin.DropIn):
    GUIDE = "lighttpd"
    USER = "www-data"
    CERTIFICATE = "/etc/lighttpd/example.org.crt"
    LOG = "/var/log/lighttpd/error.log"
    FOLDERS = ("/var/log/lighttpd", "/var/cache/lighttpd/uploads", "/var/www/html")
    SERVED = "served"
    KEYS_MISMATCH = "Private key does not match the certificate public key"
    DAMAGED = "couldn't read private key"
    ENDS = 255

    def set_up_server(self):
        super().set_up_server()
        self.edit("/etc/lighttpd/lighttpd.conf", ("= 80\n", f"= {harness.free_port()}\n"))
        self.write("/var/www/html/index.html", "served\n")
        self.write("/etc/lighttpd/conf-enabled/00-test.conf",  # from 1.4.77 on it begins with 1.3
                   'ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.2")\n')
        self.run_as("/usr/sbin/lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf", reload=signal.SIGUSR1,
                    status=(0, 1))  # 1: a connection was open when it ended


@harness.needs("mosquitto")
class Mosquitto(ServiceTests, dropin.DropIn):
    GUIDE = "mosquitto"
    USER = "mosquitto"
    CERTIFICATE = "/etc/mosquitto/certs/example.org.crt"
    LOG = "/var/log/mosquitto/mosquitto.log"
    PORT = "8883"
    FOLDERS = ("/var/log/mosquitto", "/run/mosquitto", "/var/lib/mosquitto")
    SENT = b"\x10\x10\0\4MQTT\4\2\0\0\0\4test"  # CONNECT
    REPLY = b"\x20\2\0"  # CONNACK

    def set_up_server(self):
        super().set_up_server()
        self.run_as("/usr/sbin/mosquitto", "-c", "/etc/mosquitto/mosquitto.conf")


@harness.needs("stunnel4", "curl")
class Stunnel(dropin_servers.Https, ServiceTests, dropin.DropIn):
    GUIDE = "stunnel"
    UNIT = "stunnel@https"
    USER = "stunnel4"
    CERTIFICATE = "/etc/stunnel/example.org.crt"
    SERVED = "served"
    RELOADED = "Configuration successful"  # until then it may refuse connections

    def set_up_server(self):
        super().set_up_server()
        backend = self.own(Backend())
        self.table["127.0.0.1:8080"] = backend.address
        self.run_as("/usr/bin/stunnel4", "/etc/stunnel/https.conf")


class AppArmor:
    """The unit of that name, which takes in the profiles: here it only reads one."""

    def __init__(self, test, profile):
        self.folder, self.profile = test.path_of("/etc/apparmor.d"), profile
        subprocess.run(["cp", "--archive", "/etc/apparmor.d", self.folder], check=True)

    def reload(self):
        subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", f"--base={self.folder}",
                        os.path.join(self.folder, self.profile)], check=True, capture_output=True)


@harness.needs("unbound", "unbound-checkconf", "apparmor_parser")
class Unbound(ServiceTests, dropin.DropIn):
    GUIDE = "unbound"
    USER = "unbound"
    CERTIFICATE = "/etc/unbound/example.org.crt"
    PORT = "853"
    ENDS = 1
    # The A record of "localhost", which it knows by itself.
    SENT = struct.pack("!H6H", 27, 1, 0x100, 1, 0, 0, 0) + b"\tlocalhost\0" + struct.pack("!HH", 1, 1)
    REPLY = b"\x7f\0\0\1"

    def set_up_server(self):
        super().set_up_server()
        os.unlink(self.path_of("/etc/unbound/unbound.conf.d/root-auto-trust-anchor-file.conf"))
        self.write("/etc/unbound/unbound.conf.d/test.conf",
                   f"server:\n  tls-port: {self.port}\n  use-syslog: no\n")
        self.units["apparmor"] = AppArmor(self, "usr.sbin.unbound")
        self.table["unbound-checkconf"] = f"unbound-checkconf {self.path_of('/etc/unbound/unbound.conf')}"
        self.run_as("/usr/sbin/unbound", "-d", "-p", "-c", "/etc/unbound/unbound.conf", reload=self.renew)


@harness.needs("redis-server")
class Redis(ServiceTests, dropin.DropIn):
    GUIDE = "redis"
    USER = "redis"
    CERTIFICATE = "/etc/redis/example.org.crt"
    LOG = "/var/log/redis/redis-server.log"
    PORT = "6379"
    FOLDERS = ("/var/log/redis", "/var/lib/redis", "/run/redis")
    UNIT = "redis-server"
    SENT = b"PING\r\n"
    REPLY = b"+PONG\r\n"

    def set_up_server(self):
        super().set_up_server()
        self.table["redis-cli"] = f"redis-cli --insecure -p {self.port}"
        self.run_as(*dropin.as_user("redis"), "/usr/bin/redis-server", "/etc/redis/redis.conf",
                    "--supervised", "no", "--daemonize", "no", reload=self.renew)


@functools.lru_cache(maxsize=None)
def empty_databases():
    """A folder that mariadb-install-db has filled, to be copied."""
    path = tempfile.mkdtemp(prefix="mariadb-", dir=directory())
    shutil.chown(path, "mysql", "mysql")
    subprocess.run(["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={path}",
                    "--skip-test-db", "--innodb-log-file-size=4M",
                    "--auth-root-authentication-method=normal"], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True)
    return path


# What a client of MariaDB says first: protocol 4.1, TLS and how it logs in; 16 MiB at most; utf8mb4.
CLIENT = struct.pack("<IIB23x", 1 << 9 | 1 << 11 | 1 << 15, 1 << 24, 45)


def packet(number, text):
    """One of MariaDB's protocol."""
    return struct.pack("<I", len(text) | number << 24) + text


@harness.needs("mariadbd", "mariadb-install-db", "mariadb-admin")
class MariaDB(ServiceTests, dropin_servers.SilentServerTests, dropin.DropIn):
    GUIDE = "mariadb"
    ETC = "mysql"
    USER = "mysql"
    CERTIFICATE = "/etc/mysql/example.org.crt"
    PORT = "3306"
    KEYS_MISMATCH = DAMAGED = "Unable to get private key"
    FOLDERS = ("/run/mysqld",)
    SENT = packet(2, CLIENT + b"nobody\0\0")
    REPLY = b"Access denied for user 'nobody'"

    def set_up_server(self):
        super().set_up_server()
        os.makedirs(self.path_of("/var/lib"))
        subprocess.run(["cp", "-a", empty_databases(), self.path_of("/var/lib/mysql")], check=True)
        local = "--socket=" + self.path_of("/run/mysqld/mysqld.sock")
        self.table["mariadb-admin"] = "mariadb-admin --no-defaults " + local
        self.run_as(*dropin.as_user("mysql"), "/usr/sbin/mariadbd",
                    "--defaults-file=" + self.path_of("/etc/mysql/mariadb.cnf"), local, f"--port={self.port}",
                    "--datadir=" + self.path_of("/var/lib/mysql"), "--innodb-log-file-size=4M",
                    "--innodb-buffer-pool-size=8M", reload=self.renew)

    def before_tls(self, raw):
        dropin_servers.expect(raw, b"mysql_native_password\0")
        raw.sendall(packet(1, CLIENT))


@harness.needs("postfix", "postconf")
class Postfix(ServiceTests, dropin_servers.ChrootServerTests, dropin_servers.LateServerTests,
              dropin.DropIn):
    GUIDE = "postfix"
    CHROOT = "/var/spool/postfix"
    USER = "postfix"
    CERTIFICATE = "/etc/postfix/example.org.crt"
    LOG = "/var/log/mail.log"
    PORT = "25"
    WORKERS = "smtpd"
    FOLDERS = ("/var/log", "/var/lib/postfix")
    SENT = b"NOOP\r\n"
    REPLY = b"250 2.0.0 Ok\r\n"

    def set_up_server(self):
        super().set_up_server()
        os.makedirs(self.path_of("/var/spool/postfix"))
        etc = self.path_of("/etc/postfix")
        self.table["postconf"] = f"postconf -c {etc}"
        self.edit("/etc/postfix/master.cf", ("smtp      inet", f"127.0.0.1:{self.port} inet"))
        self.shell(self.substitute(
            f"postconf -e queue_directory={self.path_of('/var/spool/postfix')} "
            f"data_directory={self.path_of('/var/lib/postfix')} alias_maps= "
            f"maillog_file={self.path_of(self.LOG)} maillog_file_prefixes={self.root} "
            f"'import_environment=MAIL_CONFIG OPENSSL_CONF' && /usr/sbin/postfix -c {etc} check"))
        self.run_as(*self.with_mounts("/usr/lib/postfix/sbin/master", "-c", etc, "-s"), status=-signal.SIGTERM)

    def before_tls(self, raw):
        dropin_servers.expect(raw, b"220 ")
        raw.sendall(b"EHLO test\r\n")
        dropin_servers.expect(raw, b"250 CHUNKING\r\n")
        raw.sendall(b"STARTTLS\r\n")
        answer = dropin_servers.expect(raw, b"\r\n")
        if not answer.startswith(b"220 "):
            raise ConnectionRefusedError(repr(answer))

    def test_a_chain_file_takes_no_reference(self):
        self.server("p-256")
        self.shell(self.substitute("cat /etc/postfix/example.org.ref /etc/postfix/example.org.crt "
                                   "> /etc/postfix/both; postconf -e smtpd_tls_chain_files=/etc/postfix/both"))
        self.unit.reload()
        harness.wait_until(lambda: not self.is_served(), "the end of TLS")
        self.assert_logged("ignoring PEM type")


@harness.needs("dovecot", "/usr/lib/dovecot/imap-login")
class Dovecot(ServiceTests, dropin_servers.ChrootServerTests, dropin_servers.LateServerTests,
              dropin.DropIn):
    GUIDE = "dovecot"
    CHROOT = "/run/dovecot/login"
    USER = "dovenull"
    CERTIFICATE = "/etc/dovecot/private/example.org.crt"
    PORT = "993"
    WORKERS = "imap-login"
    KEYS_MISMATCH = "is for a different cert"
    SENT = b"a CAPABILITY\r\n"
    REPLY = b"a OK "

    def set_up_server(self):
        super().set_up_server()
        with open(self.path_of("/etc/dovecot/conf.d/10-ssl.conf"), encoding="utf-8") as file:
            lists = "ssl_server_cert_file" in file.read()  # from 2.4 on
        environment = f"OPENSSL_CONF = {self.environment['OPENSSL_CONF']}"
        environment = f"{{\n{environment}\n}}" if lists else "= " + environment.replace(" ", "")
        self.write("/etc/dovecot/conf.d/99-test.conf", f"""
            base_dir = {self.path_of("/run/dovecot")}
            state_dir = {self.path_of("/var/lib/dovecot")}
            log_path = /dev/stderr
            import_environment {environment}
            service imap-login {{
                inet_listener imap {{
                    port = 0
                }}
                inet_listener imaps {{
                    port = {self.port}
                }}
            }}
            """)
        self.table["doveconf"] = f"doveconf -c {self.path_of('/etc/dovecot/dovecot.conf')}"
        self.run_as(*self.with_mounts("/usr/sbin/dovecot", "-F", "-c", "/etc/dovecot/dovecot.conf"))


@harness.needs("node", "curl")
class Node(dropin_servers.Https, ServiceTests, dropin.DropIn):
    GUIDE = "node"
    UNIT = "server"
    USER = "www-data"
    CERTIFICATE = "/srv/example.org.crt"
    SERVED = "served"

    def set_up_server(self):
        self.table["/srv/"] = self.path_of("/srv/")
        self.write("/srv/example.org.crt", "")
        self.run_as(*dropin.as_user("www-data"), "node", self.path_of("/srv/server.js"), status=-signal.SIGTERM)


if __name__ == "__main__":
    harness.main()

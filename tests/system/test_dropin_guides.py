"""
The guides that span more than one server's start: moving a running nginx and back (docs/guides/
moving-a-running-nginx.md), renewed certificates (acme.md); what cannot work (what-cannot-work.md); and
OpenSSL configurations that list the provider wrongly.
"""

import contextlib
import os
import signal
import subprocess

import clients
import dropin
import dropin_servers
import harness
import keyparts
import proc
import provider
from certificates import certificate


class Daemon:
    """nginx as its unit has it: in the background, found by its file."""

    def __init__(self, test, command):
        self.test, self.command = test, command
        self.file = test.path_of("/run/nginx.pid")

    def pid(self, suffix=""):
        try:
            with open(self.file + suffix, encoding="ascii") as file:
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def running(self):
        return self.pid() != 0

    def start(self):
        subprocess.run(self.command, env=self.test.environment, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.test.addCleanup(self.stop)
        harness.wait_until(self.pid, "nginx")

    def reload(self):
        os.kill(self.pid(), signal.SIGHUP)

    def stop(self):
        for pid in filter(None, (self.pid(), self.pid(".oldbin"))):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGTERM)
            harness.wait_until(lambda pid=pid: not proc.alive(pid), "the end of nginx")


class WithNginx(dropin_servers.Https, dropin.DropIn):
    CERTIFICATE = "/etc/nginx/example.org.crt"

    def start_nginx(self):
        self.nginx = self.units["nginx"] = Daemon(self, self.nginx_command)
        self.nginx.start()

    def begin_load(self):
        """Every exchange from now on to the end of the test must succeed."""
        load = dropin_servers.Load(self.exchange, threads=2)

        def judge():
            harness.wait_until(lambda: load.done > 50, "exchanges")
            load.stop()
            self.assertEqual(load.failures, [])

        self.addCleanup(judge)
        return load

    def settled(self):
        """The processes of nginx when there are none but the newest."""
        harness.wait_until(lambda: not self.nginx.pid(".oldbin") and
                           len(dropin.family(self.nginx.pid())) == 3, "one master and two workers")
        return dropin.family(self.nginx.pid())


@harness.needs("nginx", "curl", "runuser")
class Moving(WithNginx):
    """docs/guides/moving-a-running-nginx.md"""

    GUIDE = "moving-a-running-nginx"

    def has_key(self, made, processes):
        wanted = keyparts.needles(made.key)
        return any(keyparts.search(pid, wanted) for pid in processes)

    def test_there_and_back(self):
        self.nginx_command = dropin_servers.set_up_nginx(self)
        # During an upgrade the new nginx gets an empty environment, so it would read the machine's
        # openssl.cnf.
        self.edit("/etc/nginx/nginx.conf", ("worker_processes 2;", "worker_processes 2; env OPENSSL_CONF;"))
        made = self.site("p-256")
        os.rename(self.path_of("/etc/immure/example.org.key"), self.path_of("/etc/nginx/example.org.key"))
        self.carry_out(self.GUIDE, "# Moving")
        self.start_nginx()
        load = self.begin_load()
        self.assertTrue(self.has_key(made, self.settled()))

        self.carry_out(self.GUIDE, "Prepare")
        before = self.signatures()
        self.assertIn("served", self.carry_out(self.GUIDE, "Move"))
        processes = self.settled()
        self.wait_for_more(load)
        self.assertGreater(self.signatures(), before)
        self.assertFalse(self.has_key(made, processes))

        self.carry_out(self.GUIDE, "Back")
        harness.wait_until(lambda: not set(processes[1:]) & set(self.settled()), "new workers")
        before = self.signatures()
        self.wait_for_more(load)
        self.assertEqual(self.signatures(), before)

    def wait_for_more(self, load):
        done = load.done
        harness.wait_until(lambda: load.done > done + 20, "exchanges")


@harness.needs("nginx", "openssl")
class Renewal(WithNginx):
    """docs/guides/acme.md, with what certbot leaves behind and puts into the environment."""

    LIVE = "/etc/letsencrypt/live/example.org"

    def setUp(self):
        super().setUp()
        self.nginx_command = dropin_servers.set_up_nginx(self)
        self.authority = certificate("p-256", "authority")
        self.trusted = {version: clients.context(version, self.authority) for version in dropin.VERSIONS}

    def renew(self, serial):
        """Makes a new key and a certificate of the throw-away authority, and does what certbot does
        then."""
        folder = self.path_of(self.LIVE)
        os.makedirs(folder, exist_ok=True)
        self.shell(f"""cd {folder}
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout privkey.pem \\
                -subj /CN={dropin.SITE} -addext subjectAltName=DNS:{dropin.SITE} -out request.pem
            openssl x509 -req -in request.pem -CA {self.authority.chain} -CAkey {self.authority.key} \\
                -set_serial {serial} -days 30 -copy_extensions copy -out cert.pem
            cat cert.pem {self.authority.chain} >fullchain.pem""")
        environment = dict(self.environment, RENEWED_LINEAGE=folder, RENEWED_DOMAINS=dropin.SITE)
        return subprocess.run([self.path_of("/etc/letsencrypt/renewal-hooks/deploy/immure")],
                              env=environment, cwd=self.root, capture_output=True, text=True,
                              timeout=harness.LIMIT, check=False)

    def serial(self):
        with clients.connect(self.port, self.trusted[clients.TLS13], dropin.SITE) as connection:
            return int(connection.getpeercert()["serialNumber"], 16)

    def start_with_first_certificate(self):
        """nginx's guide, with the first certificate, and the hook from then on."""
        self.shell(self.substitute("immure openssl-config >> /etc/ssl/openssl.cnf"))
        self.carry_out("acme")
        self.carry_out("nginx", only="nginx")
        self.units["nginx"] = Daemon(self, self.nginx_command)
        done = self.renew(1)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_renewed_under_load(self):
        self.start_with_first_certificate()
        self.begin_load()
        for serial in (2, 3):
            done = self.renew(serial)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            harness.wait_until(lambda serial=serial: self.serial() == serial, "the new certificate")
        # A second run changes nothing.
        former = self.path_of("/etc/immure/example.org.former.key")
        with open(former, "rb") as file:
            before = file.read()
        again = subprocess.run([self.path_of("/etc/letsencrypt/renewal-hooks/deploy/immure")], check=True,
                               env=dict(self.environment, RENEWED_LINEAGE=self.path_of(self.LIVE)),
                               cwd=self.root, capture_output=True, timeout=harness.LIMIT)
        self.assertEqual(again.stdout, b"")
        with open(former, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_immured_does_not_take_the_key(self):
        """nginx goes on with the certificate that it has."""
        self.start_with_first_certificate()
        config = self.path_of("/etc/immure/immured.conf")
        with open(config, "a", encoding="ascii") as file:
            file.write("nonsense\n")
        done = self.renew(2)
        self.assertEqual(done.returncode, 1)
        self.assertIn("immured has not taken the new key of example.org", done.stderr)
        self.assertEqual(self.serial(), 1)


class Configurations(dropin.DropIn):
    """The provider in other places than where `immure openssl-config` puts it."""

    CERTIFICATE = "/etc/immure/example.org.crt"

    def serves(self, providers, algorithms):
        """Whether a handshake with s_server under this configuration succeeds, even with ephemeral
        P-256 keys, which the provider cannot make."""
        environment = provider.environment(self.directory, providers=providers, algorithms=algorithms)
        self.port = harness.free_port()
        server = self.start_program("/usr/bin/openssl", "s_server", "-accept", str(self.port),
                                    "-naccept", "1", "-www", "-cert", self.path_of(self.CERTIFICATE),
                                    "-key", self.reference_path, environment=environment)
        harness.wait_until(lambda: "ACCEPT" in server.log() or not server.running(), "s_server")
        output, good = clients.s_client(self.port, "-curves", "P-256", text=b"GET / HTTP/1.0\r\n\r\n")
        server.expected_status = server.wait()
        return good, output + server.log()

    def test_every_order_works(self):
        """`default` first, last, and forgotten; with and without a property query."""
        self.site("p-256")
        self.write("/etc/immure/immured.conf", f'listen = "{self.socket}"\nthreads = 1\n'
                   f'key "k" {{ file = "{self.path_of("/etc/immure/example.org.key")}" }}\n')
        self.units["immured"].start()
        self.reference_path = self.path_of("/etc/immure/example.org.ref")
        self.shell(self.substitute("immure key reference --certificate /etc/immure/example.org.crt "
                                   "> /etc/immure/example.org.ref"))
        for providers in (("default", "immure"), ("immure", "default"), ("immure",)):
            for algorithms in ("default_properties = ?provider!=immure", ""):
                with self.subTest(providers=providers, algorithms=algorithms):
                    good, said = self.serves(providers, algorithms)
                    self.assertTrue(good, said)


@harness.needs("certtool", "openssl", "runuser")
class CannotWork(dropin.DropIn):
    """docs/guides/what-cannot-work.md: the programs print the messages that it quotes."""

    CERTIFICATE = "/etc/immure/example.org.crt"
    SAID = (
        ("certtool --load-privkey {reference} --key-info", "The requested data were not available"),
        ("openssl pkcs12 -export -in {certificate} -inkey {reference} -out /dev/null -passout pass:",
         "the private key is in immured and stays there"),
        ("openssl cms -sign -noattr -in {certificate} -signer {certificate} -inkey {reference}",
         "immured signs whole messages, not digests"),
        ("OPENSSL_CONF={preferred} openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
         "immure makes and takes no private keys"),
    )

    def test_what_they_say(self):
        self.site("p-256")
        self.carry_out("nginx", "The key")
        self.carry_out("nginx", "The provider")
        reference = self.path_of("/etc/immure/example.org.ref")
        preferred = self.path_of("/etc/immure/preferred.cnf")
        self.shell(self.substitute("immure key reference --certificate /etc/immure/example.org.crt "
                                   "> /etc/immure/example.org.ref; sed 's/?provider!=immure/?provider=immure/' "
                                   "/etc/ssl/openssl.cnf > /etc/immure/preferred.cnf"))
        with open(os.path.join(dropin.GUIDES, "what-cannot-work.md"), encoding="utf-8") as file:
            page = " ".join(file.read().split())
        for command, text in self.SAID:
            with self.subTest(command):
                self.assertIn(text, page)
                command = command.format(reference=reference, preferred=preferred,
                                         certificate=self.path_of(self.CERTIFICATE))
                done = subprocess.run(["bash", "-c", command], env=self.environment, capture_output=True,
                                      stdin=subprocess.DEVNULL, timeout=harness.LIMIT, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(text, (done.stdout + done.stderr).decode(errors="replace"))


if __name__ == "__main__":
    harness.main()

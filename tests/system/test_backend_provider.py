"""Keys in devices, and software keys that a device signs with: engines and providers in immured."""

import mmap
import os
import re
import signal
import struct
import subprocess
import time
import unittest

import backends
import clients
import harness
import wire
from certificates import Certificate, certificate
from immured import ImmuredTest, Key, key_process, openssl

PROVIDER, OPENSSL = 3, 1  # enum wire_backend
IMMURED_UID = 65533       # where there is no user "immured"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


class Control:
    """A file of 32-bit numbers that an engine maps: the faults to inject, and counters."""

    def __init__(self, path, fields):
        self.path, self.fields = path, fields
        with open(path, "wb") as file:
            file.write(bytes(4 * len(fields)))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def close(self):
        self.memory.close()

    def set(self, **values):
        for name, value in values.items():
            struct.pack_into("=I", self.memory, 4 * self.fields.index(name), value)

    def get(self, name):
        return struct.unpack_from("=I", self.memory, 4 * self.fields.index(name))[0]


RESULT, LENGTH, FAILURE = 1, 2, 3  # enum fault, of tests/support/faulty_engine.h and tests/qat


class SoftwareKeys(ImmuredTest):
    """An RSA and an EC key in memory with which a device signs. Every request is answered, and
    every signature is valid."""

    FIELDS = []  # of the engine's control file

    def setUp(self):
        super().setUp()
        if self.FIELDS:
            self.control = self.own(Control(os.path.join(self.directory, "control"), self.FIELDS))
        self.rsa, self.ec = Key("rsa-2048"), Key("p-256")

    def start_device(self, provider, **options):
        top = f'backend = "provider:device" provider "device" {{ {provider} }}'
        self.immured = self.start_immured(self.rsa, self.ec, top=top, **options)
        return self.connect()

    def sign_many(self, client, count):
        """Sends this many requests at once, with both keys; returns the backends that signed
        them."""
        message, asked = wire.tls13_message(), {}
        for number in range(count):
            key, id = (self.rsa, self.ec)[number % 2], client.next_id()
            asked[id] = key
            client.send(wire.sign(id, key.id, key.tls13_scheme(), message))
        by = []
        while asked:
            reply = client.receive()
            key = asked.pop(reply.id)
            self.assertTrue(key.verifies(key.tls13_scheme(), message, reply.signed[3]))
            by.append(reply.signed[0])
        return by

    def wait_until_back(self, client):
        harness.wait_until(lambda: set(self.sign_many(client, 2)) == {PROVIDER}, "the device")


class FaultyEngine(SoftwareKeys):
    """An engine that fails in every possible way."""

    FIELDS = ["fault", "faults", "delay", "hangs", "descriptor", "signatures", "in_flight",
              "most_in_flight"]  # struct control of tests/support/faulty_engine.h

    def start(self, options="", threads=0):
        return self.start_device(f"""
            engine = "{harness.program_path("faulty_engine.so")}"
            environment = {{"IMMURE_FAULTY_ENGINE={self.control.path}", "IMMURE_FAULTY_THREADS={threads}"}}
            system-calls = {{"clock_nanosleep", "timerfd_create", "timerfd_settime", "pause"}}
            {options}""")

    def test_all_schemes(self):
        client = self.start()
        self.assertIn('provider "device": immured may also make the system calls poll ppoll '
                      "clock_nanosleep", self.immured.log())
        for key in (self.rsa, self.ec):
            for scheme in key.schemes():
                reply = client.sign(key.id, scheme, wire.tls12_message())
                self.assertEqual(reply.signed[0], PROVIDER)
                self.assertTrue(key.verifies(scheme, wire.tls12_message(), reply.signed[3]))

    def test_threads_that_the_module_starts(self):
        """They start before the walls are in force, so the log says which walls do not cover
        them."""
        self.start()
        self.assertNotIn("its module has started", self.immured.log())
        self.assertNotIn("wall not there: threads", self.immured.log())
        self.assertEqual(self.immured.stop(), [])
        client = self.start(threads=3)
        # the thread sanitizer starts one of its own with the first
        self.assertRegex(self.immured.log(), 'provider "device": its module has started '
                         f"{'[34]' if harness.SANITIZE == 'thread' else 3} threads, which neither Landlock "
                         "nor the namespaces will hold")
        self.assertRegex(self.immured.log(), r"wall not there: threads: [34] of modules are outside of Landlock")
        self.assertEqual(client.sign(self.ec.id, self.ec.tls13_scheme(), wire.tls13_message()).type, wire.SIGNED)
        if not harness.SANITIZE:
            pid = key_process(self.immured)
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as file:
                    status = file.read()
                self.assertRegex(status, r"\nSeccomp:\s+2\n", "the list of system calls")
                self.assertRegex(status, r"\nNoNewPrivs:\s+1\n")
                self.assertNotEqual(int(re.search(r"\nSigBlk:\s+(\w+)\n", status).group(1), 16) >>
                                    signal.SIGTERM - 1 & 1, 0, "TERM is for the event loop")
                if os.geteuid() == 0:
                    self.assertNotRegex(status, r"\nUid:.*\b0\b", "none is root")

    def test_wrong_results_are_made_again(self):
        for fault in (RESULT, LENGTH):
            with self.subTest(fault=fault):
                client = self.start()
                self.control.set(fault=fault, faults=6)
                self.sign_many(client, 10)
                self.assertEqual(self.control.get("faults"), 0)
                self.assertEqual(self.immured.log().count("it is made again by libcrypto"), 6)
                self.assertEqual(set(self.sign_many(client, 4)), {PROVIDER})
                self.immured.stop()

    def test_a_failure(self):
        """Other backends sign until the failure is known to be temporary; it is logged once."""
        client = self.start()
        self.control.set(fault=FAILURE, faults=1)
        self.assertIn(OPENSSL, self.sign_many(client, 20))
        self.wait_until_back(client)
        self.assertEqual(self.immured.log().count("until it is back"), 1, self.immured.log())

    def test_away_and_back(self):
        client = self.start()
        self.control.set(fault=FAILURE, faults=1000000)
        self.assertEqual(set(self.sign_many(client, 20)), {OPENSSL})
        self.assertEqual(self.immured.log().count("until it is back"), 1, self.immured.log())
        self.assertNotIn("made again", self.immured.log())
        self.control.set(faults=0)
        self.wait_until_back(client)
        self.assertIn("is there: it signs with 2 of 2 keys", self.immured.log())

    def test_away_at_the_start(self):
        self.control.set(fault=FAILURE, faults=1000000)
        client = self.start()
        self.assertEqual(set(self.sign_many(client, 4)), {OPENSSL})
        self.assertIn('provider "device" does not sign with it', self.immured.log())
        self.control.set(faults=0)
        self.wait_until_back(client)

    def test_hangs_in_mid_flight(self):
        for options in ("", "asynchronous = yes"):
            with self.subTest(options=options):
                client = self.start(f"timeout = 300ms {options}")
                self.control.set(hangs=1)
                self.assertEqual(set(self.sign_many(client, 10)), {OPENSSL})
                self.assertIn("no answer in 300ms", self.immured.log())
                self.control.set(hangs=0)
                self.wait_until_back(client)
                self.immured.stop()

    def test_trials_of_a_hanging_device_do_not_pile_up(self):
        client = self.start("timeout = 100ms\nasynchronous = yes")
        self.control.set(hangs=1)
        self.assertEqual(set(self.sign_many(client, 10)), {OPENSSL})

        def as_before():
            before = self.control.get("in_flight")
            time.sleep(3)  # two or three probes of the device
            return self.control.get("in_flight") == before
        harness.wait_until(as_before, "no more trials to begin")
        self.assertLessEqual(self.control.get("in_flight"), 10 + 2, "requests, and a trial of each key")
        self.control.set(hangs=0)
        self.wait_until_back(client)
        self.assertIn("is there: it signs with 2 of 2 keys", self.immured.log())
        self.assertEqual(self.control.get("in_flight"), 0)

    def test_many_in_flight_on_one_thread(self):
        for descriptor in (0, 1):
            with self.subTest(descriptor=descriptor):
                client = self.start("asynchronous = yes")
                self.control.set(delay=100, descriptor=descriptor, most_in_flight=0)
                self.assertEqual(set(self.sign_many(client, 40)), {PROVIDER})
                self.assertGreaterEqual(self.control.get("most_in_flight"), 8)
                self.assertEqual(self.control.get("in_flight"), 0)
                self.control.set(delay=0)
                self.immured.stop()

    def test_faults_in_mid_flight(self):
        client = self.start("asynchronous = yes")
        self.control.set(delay=20, fault=RESULT, faults=5)
        self.sign_many(client, 20)
        self.assertEqual(self.control.get("faults"), 0)
        self.control.set(fault=FAILURE, faults=3)
        self.sign_many(client, 40)
        self.control.set(faults=0, delay=0)
        self.wait_until_back(client)


class OwnProvider(SoftwareKeys):
    def test_signs(self):
        """Keys in memory are handed to a provider, too."""
        client = self.start_device("module = default")
        self.assertEqual(set(self.sign_many(client, 10)), {PROVIDER})


def driver(kind, name):
    """Whether OpenSSL has this engine or provider: kind is -e or -m."""
    folder = openssl("version", kind).stdout.decode().split('"')[1]
    return os.path.exists(os.path.join(folder, name + ".so"))


STANDIN = harness.program_path("qat")  # tests/qat


@unittest.skipUnless(driver("-e", "qatengine"), "not installed: qatengine")
@unittest.skipUnless(os.path.exists(os.path.join(STANDIN, "libqat.so.4")), "not built: tests/qat")
@harness.not_sanitized("the engine is not")
class Qat(SoftwareKeys):
    """The engine for Intel's QAT devices, with a stand-in for the device."""

    FIELDS = ["instances", "delay", "ring", "gone", "fault", "faults", "submitted", "answered",
              "full", "refused", "faulted", "in_flight", "most_in_flight"]  # tests/qat/control.h

    def setUp(self):
        super().setUp()
        self.control.set(instances=1, delay=1000, ring=64)

    def start(self, timeout="10s"):
        return self.start_device(f"""
            engine = qatengine asynchronous = yes
            parameters = {{"SW_ALGO_BITMAP=0", "ENABLE_EXTERNAL_POLLING"}}
            environment = {{"QAT_STANDIN_CONTROL={self.control.path}"}}
            timeout = {timeout}""", program="immured-test")  # which finds the stand-in

    def test_many_in_flight(self):
        client = self.start()
        self.control.set(delay=50000, most_in_flight=0)
        self.assertEqual(set(self.sign_many(client, 40)), {PROVIDER})
        self.assertGreaterEqual(self.control.get("most_in_flight"), 8)

    def test_full_rings(self):
        client = self.start()
        self.control.set(delay=5000, ring=2)
        self.assertEqual(set(self.sign_many(client, 40)), {PROVIDER})
        self.assertGreater(self.control.get("full"), 0)

    def test_faults(self):
        client = self.start()
        for fault in (RESULT, LENGTH, FAILURE):
            with self.subTest(fault=fault):
                self.control.set(fault=fault, faults=4)
                self.sign_many(client, 20)
                self.control.set(faults=0)
                self.wait_until_back(client)

    def test_gone_in_mid_flight_and_back(self):
        client = self.start("1s")
        self.control.set(gone=1)
        self.assertEqual(set(self.sign_many(client, 20)), {OPENSSL})
        self.assertEqual(self.immured.log().count("until it is back"), 1, self.immured.log())
        self.control.set(gone=0)
        self.wait_until_back(client)

    def test_absent(self):
        self.control.set(instances=0)
        client = self.start()
        self.assertEqual(set(self.sign_many(client, 4)), {OPENSSL})
        self.assertIn("the engine has no device", self.immured.log())


class Mistakes(ImmuredTest):
    def assert_refused(self, text, *reasons):
        config = os.path.join(self.directory, "immured.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        immured = self.start_program("immured", "--test", "--config", config)
        immured.expected_status = 1
        immured.wait()
        for reason in reasons:
            self.assertIn(reason, immured.log())

    def test_each_is_named(self):
        file = f'file = "{certificate("p-256").key}"'
        for text, *reasons in (
            (f'key k {{ {file} backend = "provider:none" }}',
             "immured.conf:1", "there is no provider 'none'"),
            ('key k { uri = "pkcs11:object=x" }', "uri needs a backend that is a provider"),
            (f'provider p {{ engine = "no-such" }} key k {{ {file} }}',
             'provider "p": no-such cannot be opened'),
            (f'provider p {{ module = "no-such" }} key k {{ {file} }}',
             'provider "p": no-such cannot be opened'),
            (f'provider p {{ module = default pin-file = "/no/pin" }} key k {{ {file} }}',
             "/no/pin: No such file"),
            (f'provider p {{ module = default system-calls = {{"fly"}} }} key k {{ {file} }}',
             'there is no system call "fly"'),
            (f'provider p {{ module = default environment = {{"X"}} }} key k {{ {file} }}',
             'environment: "X" is not NAME=VALUE'),
            ('provider p { module = default } key k { uri = "file:/no/key" '
             'backend = "provider:p" }', "/no/key: No such file"),
        ):
            with self.subTest(text=text):
                self.assert_refused(text, *reasons)


class DeviceTest(harness.SystemTest):
    """TLS through immure-proxy, with an immured that has keys in a device and one in a file."""

    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.socket = os.path.join(self.directory, "immured.sock")
        self.other = certificate("p-256", "other.example")

    def give(self, *paths):
        """The user that immured becomes."""
        if os.geteuid() == 0:
            for path in paths:
                subprocess.run(["chown", "-R", f"{IMMURED_UID}:{IMMURED_UID}", path], check=True)

    def start_immured(self, provider, uris):
        config = os.path.join(self.directory, "immured.conf")
        user = f'user = "{IMMURED_UID}"' if os.geteuid() == 0 else ""
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.socket}"\nthreads = 1\n{user}\n'
                       f'provider "device" {{ {provider} }}\n'
                       f'key "other" {{ file = "{self.other.key}" }}\n')
            for number, uri in enumerate(uris):
                file.write(f'key "{number}" {{ uri = "{uri}" backend = "provider:device" }}\n')
        self.immured = self.start_program("immured", "--config", config)
        harness.wait_until(lambda: " serves" in self.immured.log() or not self.immured.running(),
                           "immured")
        self.assertIn(" serves", self.immured.log())

    def handshake(self, trusted, version=None):
        with clients.connect(self.proxy.port, clients.context(version, trusted),
                             trusted.names[0]) as connection:
            clients.echo_once(connection)

    def refused(self, trusted):
        try:
            self.handshake(trusted)
        except OSError:
            return True
        return False

    def served(self, trusted):
        return not self.refused(trusted)

    def serve(self, own):
        self.proxy = self.start_proxy([self.other, *own], self.backend.address,
                                      keys=f'socket = "{self.socket}"')
        for each in own:
            for version in (clients.TLS12, clients.TLS13):
                with self.subTest(kind=each.kind, version=version):
                    self.handshake(each, version)

    def lose(self, own, leave, come_back):
        """The device disappears and comes back while the proxy serves."""
        leave()
        for each in own:
            self.assertTrue(self.refused(each))
            self.handshake(self.other)
        self.assertEqual(self.immured.log().count("until it is back"), 1, self.immured.log())
        come_back()
        for each in own:
            harness.wait_until(lambda each=each: self.served(each), "the device")
        self.handshake(self.other)
        self.assertTrue(self.immured.running())


@harness.needs("softhsm2-util")
class SoftHsm(DeviceTest):
    """PKCS #11: keys in a token of SoftHSM, which is files."""

    ENGINE = f'engine = pkcs11 parameters = {{"QUIET", "MODULE_PATH={SOFTHSM}"}}'
    PROVIDER = f'module = pkcs11 parameters = {{"pkcs11-module-path={SOFTHSM}"}}'

    def make_token(self):
        self.tokens = os.path.join(self.directory, "tokens")
        config = os.path.join(self.directory, "softhsm2.conf")
        pin = os.path.join(self.directory, "pin")
        os.mkdir(self.tokens)
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        with open(pin, "w", encoding="utf-8") as file:
            file.write("1234\n")
        self.own_keys = [certificate("rsa-2048", "rsa.example"), certificate("p-256", "ec.example")]
        environment = {**os.environ, "SOFTHSM2_CONF": config}
        for arguments in (
            ["--init-token", "--free", "--label", "immure", "--so-pin", "5678"],
            *(["--import", each.key, "--token", "immure", "--id", f"0{number}",
               "--label", each.names[0]] for number, each in enumerate(self.own_keys, 1)),
        ):
            subprocess.run(["softhsm2-util", *arguments, "--pin", "1234"], check=True,
                           stdin=subprocess.DEVNULL, capture_output=True, env=environment)
        self.give(self.tokens)
        return f'pin-file = "{pin}" environment = {{"SOFTHSM2_CONF={config}"}}'

    def serve_token(self, options, loses=True):
        options += " " + self.make_token()
        self.start_immured(options, [f"pkcs11:token=immure;object={each.names[0]};type=private"
                                     for each in self.own_keys])
        self.serve(self.own_keys)
        if not loses:
            return
        away = self.tokens + ".away"
        self.lose(self.own_keys, lambda: os.rename(self.tokens, away),
                  lambda: os.rename(away, self.tokens))

    @unittest.skipUnless(driver("-e", "pkcs11"), "not installed: libp11's engine pkcs11")
    def test_engine(self):
        self.serve_token(self.ENGINE)

    @unittest.skipUnless(driver("-m", "pkcs11"), "not installed: pkcs11-provider")
    def test_provider(self):
        # it keeps a session open, in which SoftHSM does not reread its files
        self.serve_token(self.PROVIDER, loses=False)

    @unittest.skipUnless(driver("-e", "pkcs11"), "not installed: libp11's engine pkcs11")
    @harness.needs_root("to be another user than the token's")
    def test_a_token_that_immured_may_not_use(self):
        """The error is reported at the start, not to the first client."""
        options = self.make_token()
        subprocess.run(["chown", "-R", "0:0", self.tokens], check=True)
        with self.assertRaises(AssertionError):
            self.start_immured(self.ENGINE + " " + options,
                               ["pkcs11:token=immure;object=ec.example;type=private"])
        self.immured.expected_status = 1
        self.assertIn("signed with it, but not as immured's user", self.immured.log())


@harness.needs("swtpm", "tpm2_dictionarylockout")
@unittest.skipUnless(driver("-m", "tpm2"), "not installed: tpm2-openssl")
class SoftwareTpm(DeviceTest):
    """A TPM at the other end of a socket, with keys that only it can use."""

    def setUp(self):
        super().setUp()
        self.state = os.path.join(self.directory, "tpm")
        os.mkdir(self.state)
        self.address = os.path.join(self.directory, "tpm.sock")
        self.name = f"swtpm:path={self.address}"
        self.environment = {**os.environ, "TPM2OPENSSL_TCTI": self.name, "TPM2TOOLS_TCTI": self.name}
        self.tpm = None
        self.start_tpm()
        self.addCleanup(self.kill_tpm)

    def start_tpm(self):
        for path in (self.address, self.address + ".ctrl"):
            if os.path.exists(path):
                os.unlink(path)
        self.tpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
             "--server", f"type=unixio,path={self.address}",
             "--ctrl", f"type=unixio,path={self.address}.ctrl",
             "--flags", "not-need-init,startup-clear"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(lambda: os.path.exists(self.address + ".ctrl"), "swtpm")
        self.give(self.address, self.address + ".ctrl")
        # each kill counts as an attack
        subprocess.run(["tpm2_dictionarylockout", "--setup-parameters", "--max-tries=1000",
                        "--clear-lockout"], check=True, env=self.environment, capture_output=True)

    def kill_tpm(self):
        self.tpm.kill()
        self.tpm.wait()

    def make_key(self, kind, *options):
        """Makes a key in the form that only this TPM can use, and a certificate for it."""
        base = os.path.join(self.directory, kind)
        tpm = ["-provider", "tpm2", "-provider", "default"]
        for arguments in (
            ["genpkey", *tpm, "-propquery", "?provider=tpm2", *options, "-out", base + ".tss2"],
            ["req", "-x509", *tpm, "-propquery", "?provider=tpm2", "-new", "-key", base + ".tss2",
             "-subj", f"/CN={kind}.example", "-addext", f"subjectAltName=DNS:{kind}.example",
             "-days", "30", "-out", base + ".crt"],
        ):
            subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                           capture_output=True, env=self.environment)
        return Certificate(base + ".crt", base + ".tss2", (f"{kind}.example",), kind)

    def test_serves_and_comes_back(self):
        own = [self.make_key("rsa-2048", "-algorithm", "RSA", "-pkeyopt", "bits:2048"),
               self.make_key("p-256", "-algorithm", "EC", "-pkeyopt", "group:P-256")]
        self.start_immured(
            f'module = tpm2 environment = {{"TPM2OPENSSL_TCTI={self.name}", "TSS2_LOG=all+NONE"}} '
            "timeout = 3s", [f"file:{each.key}" for each in own])
        self.serve(own)
        self.lose(own, self.kill_tpm, self.start_tpm)

        self.tpm.send_signal(signal.SIGSTOP)
        self.assertTrue(self.refused(own[1]))
        self.handshake(self.other)
        self.assertIn("no answer in 3s", self.immured.log())
        self.tpm.send_signal(signal.SIGCONT)
        harness.wait_until(lambda: self.served(own[1]), "the TPM to go on")


if __name__ == "__main__":
    harness.main()

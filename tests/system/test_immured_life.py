"""immured from its start to its end: keys, signatures, descriptors, signals, walls."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness
import proc
import rfc_messages
import wire
from certificates import certificate, encrypted
from immured import ImmuredTest, Key, key_process, openssl

OWN_NICE = os.getpriority(os.PRIO_PROCESS, 0)
KINDS = ("rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "p-521", "ed25519")


class Signatures(ImmuredTest):
    def test_every_kind_of_key_under_every_scheme(self):
        keys = [Key(kind, more="tls12-groups = all") for kind in KINDS]
        self.start_immured(*keys)
        client = self.connect()
        tls12 = [rfc_messages.server_key_exchange(random.Random(1), group) for group in rfc_messages.GROUPS]
        for key in keys:
            for number, scheme in enumerate(key.schemes()):
                message = tls12[number % len(tls12)]
                signature = client.sign(key.id, scheme, message).signed[3]
                self.assertTrue(key.verifies(scheme, message, signature), (key.kind, hex(scheme)))
                self.assertFalse(key.verifies(scheme, message + b"!", signature))
            for digest in (b"d" * 32, b"d" * 48):
                message = wire.tls13_message(digest=digest)
                signature = client.sign(key.id, key.tls13_scheme(), message).signed[3]
                self.assertTrue(key.verifies(key.tls13_scheme(), message, signature), key.kind)

    def test_client_keys(self):
        key = Key("p-256")
        self.start_immured(key, policy="tls-client")
        client = self.connect()
        source = random.Random(1)
        for message in (wire.tls13_message(wire.CLIENT_CONTEXT),
                        *(rfc_messages.client_transcript(source, exchange, key.spki)
                          for exchange in ("RSA", "DHE", *rfc_messages.GROUPS))):
            signature = client.sign(key.id, wire.ECDSA_SHA256, message).signed[3]
            self.assertTrue(key.verifies(wire.ECDSA_SHA256, message, signature))
        self.assert_error(client.sign(key.id, wire.ECDSA_SHA256, wire.tls13_message()),
                          wire.E_POLICY)

    def test_any_message(self):
        key = Key("ed25519")
        immured = self.start_immured(key, policy="any")
        client = self.connect()
        for message in (b"m", b"m" * 65000):
            signature = client.sign(key.id, wire.ED25519, message).signed[3]
            self.assertTrue(key.verifies(wire.ED25519, message, signature))
        self.assertIn("signs any message", immured.log())

    def test_many_keys_are_listed_in_pages(self):
        count = 250
        keys = []
        for number in range(count):
            path = os.path.join(self.directory, f"{number}.pem")
            openssl("genpkey", "-algorithm", "ed25519", "-out", path)
            keys.append(f'key "{"n" * 250} {number}" {{ file = "{path}" }}')
        first = Key("p-256")
        self.start_immured(first, top="\n".join(keys))
        client = self.connect()
        listed = client.keys()
        self.assertEqual([name for name, _, _ in listed],
                         [f'{"n" * 250} {number}' for number in range(count)] + ["key 0"])
        self.assertEqual(len({spki for _, spki, _ in listed}), count + 1)
        for _, spki, schemes in listed[:count:50]:
            self.assertEqual(schemes, [wire.ED25519])
            reply = client.sign(wire.key_id(spki), wire.ED25519, wire.tls13_message())
            self.assertEqual(len(reply.signed[3]), 64)

    def test_pipelined_requests_are_all_answered(self):
        keys = [Key(kind) for kind in ("rsa-2048", "p-256", "ed25519")]
        self.start_immured(*keys, top="queue-age = 1m")
        clients = [self.connect() for _ in range(4)]
        message, count = wire.tls13_message(), 600
        for client in clients:
            client.send(b"".join(
                wire.sign(id, keys[id % 3].id, keys[id % 3].tls13_scheme(), message)
                for id in range(1, count + 1)))
        for client in clients:
            replies = [client.receive() for _ in range(count)]
            self.assertEqual({reply.id for reply in replies}, set(range(1, count + 1)))
            for reply in replies:
                self.assertEqual(reply.type, wire.SIGNED)
            sample = replies[-1]
            key = keys[sample.id % 3]
            self.assertTrue(key.verifies(key.tls13_scheme(), message, sample.signed[3]))


class Configuration(ImmuredTest):
    def refused(self, text, reason):
        path = os.path.join(self.directory, "bad.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'{text}\nlisten = "{path}.sock"\n')
        for arguments in (["--test"], []):
            run = subprocess.run([harness.program_path("immured"), "--config", path, *arguments],
                                 capture_output=True, text=True, timeout=harness.LIMIT, check=False)
            self.assertEqual(run.returncode, 1, run.stderr)
            self.assertIn(f"{path}:{reason}", run.stderr)

    def test_mistakes_are_named_with_their_line(self):
        plain = certificate("p-256")
        locked, phrase = encrypted(certificate("p-384"), "open sesame")
        self.refused("\nbogus = 1\n", "2: unknown directive 'bogus'")
        self.refused('# c\nkey a {\n file = "/nonexistent"\n}\n',
                     '3: key "a": /nonexistent: No such file or directory')
        self.refused(f'key a {{\n file = "{plain.chain}"\n}}\n',
                     f'2: key "a": {plain.chain}: holds no private key in PEM form')
        self.refused(f'key a {{\n file = "{locked.key}"\n}}\n',
                     f'2: key "a": {locked.key}: the key is encrypted')
        self.refused(f'key a {{\n file = "{plain.key}"\n policy = all\n}}\n', "3: policy must be ")
        fifo, huge = (os.path.join(self.directory, name) for name in ("fifo", "huge"))
        os.mkfifo(fifo)
        with open(huge, "wb") as file:
            file.truncate(1 << 40)
        for path, reason in (("/tmp", "Is a directory"), (huge, "File too large"),
                             (fifo, "it is not a regular file"),
                             ("/dev/zero", "it is not a regular file")):
            self.refused(f'key a {{\n file = "{path}"\n}}\n', f'2: key "a": {path}: {reason}')
            self.refused(f'key a {{\n file = "{locked.key}"\n pass-phrase-file = "{path}"\n}}\n',
                         f'2: key "a": {path}: {reason}')
        good = os.path.join(self.directory, "good.conf")
        with open(good, "w", encoding="utf-8") as file:
            file.write(f'key a {{ file = "{locked.key}" pass-phrase-file = "{phrase}" }}\n'
                       f'key b {{ file = "{plain.key}" }}\n')
        run = subprocess.run([harness.program_path("immured"), "--test", "--config", good],
                             capture_output=True, text=True, timeout=harness.LIMIT, check=True)
        self.assertIn("2 keys", run.stderr)

    def test_the_same_key_twice_is_one(self):
        key = Key("p-256")
        immured = self.start_immured(key, key)
        self.assertEqual(len(self.connect().keys()), 1)
        self.assertIn('key "key 1" is the same key as one before it', immured.log())

    def test_the_same_key_with_other_rights_is_refused(self):
        """Otherwise the order of the sections would decide which rights apply."""
        key = certificate("rsa-2048").key
        for one, other, difference in (
                ("policy = tls13-server", "", "policy"), ("", "policy = any", "policy"),
                ("", "decrypt = tls-rsa-key-exchange", "decrypt"),
                ("allow-users = {7}", "allow-users = {7, 8}", "allow-users or allow-groups"),
                ("", "allow-groups = {8}", "allow-users or allow-groups"),
                ('rate = "5/s"', 'rate = "6/s"', "rate")):
            self.refused(f'key a {{ file = "{key}" {one} }}\nkey b {{ file = "{key}" {other} }}\n',
                         f'2: key "b" is the same key as "a" ({self.directory}/bad.conf:1), '
                         f"with another {difference}\n")

    def test_the_socket_file(self):
        key = Key("p-256")
        first = self.start_immured(key)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        second = self.start_program("immured", "--config", self.config)
        second.expected_status = 1
        self.assertEqual(second.wait(), 1)
        self.assertIn("Address already in use", second.log())
        self.assert_served(self.connect(), key)
        first.expected_status = -signal.SIGKILL
        first.signal(signal.SIGKILL)
        first.wait()
        self.start_immured(key)
        self.assert_served(self.connect(), key)


class Descriptors(ImmuredTest):
    """Started by a supervisor."""

    def start(self, key, *arguments, keep=(), program="immured", top=""):
        config = os.path.join(self.directory, "own.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'threads = 1\n{top}\nkey k {{ file = "{key.file}" }}\n')
        with open(config, "rb") as file:
            os.unlink(config)
            return subprocess.Popen(
                [harness.program_path(program), "--config", f"/dev/fd/{file.fileno()}", *arguments],
                pass_fds=(file.fileno(), *keep), stdin=subprocess.DEVNULL)

    def listener(self):
        self.path = os.path.join(self.directory, "shared.sock")
        listener = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(self.path)
        listener.listen(16)
        return listener

    def test_a_session_is_its_life(self):
        key = Key("p-256")
        ours, theirs = socket.socketpair()
        immured = self.start(key, "--session-fd", str(theirs.fileno()), keep=(theirs.fileno(),))
        theirs.close()
        with wire.Client(ours, timeout=harness.LIMIT) as client:
            self.assert_served(client, key)
        self.assertEqual(immured.wait(harness.LIMIT), 0)

    def test_the_listener_outlives_it(self):
        key, listener = Key("p-256"), self.listener()
        arguments = ("--listen-fd", str(listener.fileno()))
        for _ in range(3):
            waiting = self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting.connect(self.path)
            immured = self.start(key, *arguments, keep=(listener.fileno(),))
            self.assert_served(wire.Client(waiting, timeout=harness.LIMIT), key)
            immured.terminate()
            self.assertEqual(immured.wait(harness.LIMIT), 0)

    def test_it_ends_with_its_supervisor(self):
        key, listener = Key("p-256"), self.listener()
        reading, writing = os.pipe()
        supervisor = os.fork()
        if supervisor == 0:
            immured = self.start(key, "--listen-fd", str(listener.fileno()),
                                 keep=(listener.fileno(),))
            os.write(writing, str(immured.pid).encode())
            time.sleep(harness.LIMIT)
            os._exit(1)
        immured = int(os.read(reading, 20))
        self.assert_served(self.connect(), key)
        os.kill(supervisor, signal.SIGKILL)
        os.waitpid(supervisor, 0)
        harness.wait_until(lambda: not proc.alive(immured), "immured to follow its supervisor")
        os.close(reading)
        os.close(writing)

    def test_nothing_else_is_inherited(self):
        key, listener = Key("p-256"), self.listener()
        secret = self.own(open(key.file, "rb"))
        immured = self.start(key, "--listen-fd", str(listener.fileno()),
                             keep=(listener.fileno(), secret.fileno()))
        self.assert_served(self.connect(), key)
        if os.geteuid() == 0:
            held = proc.opened(immured.pid)
            self.assertFalse([each for each in held if each.endswith((".key", ".conf"))], held)
        immured.terminate()
        self.assertEqual(immured.wait(harness.LIMIT), 0)

    @harness.needs_root("to be somebody who cannot open the key file")
    def test_files_by_descriptor_alone(self):
        """Started as a user who can open neither the folder nor the key in it."""
        key, (ours, theirs) = Key("p-256"), socket.socketpair()
        folder = os.path.join(self.directory, "closed")
        os.mkdir(folder, 0o700)
        path = os.path.join(folder, "own.key")
        shutil.copyfile(key.file, path)
        os.chmod(path, 0o600)
        with open(path, "rb") as file, tempfile.TemporaryFile() as config, \
                tempfile.TemporaryFile() as files:
            config.write(f'threads = 1\nkey k {{ file = "{path}" }}\n'.encode())
            config.seek(0)
            files.write(f"{file.fileno()} {path}\0{config.fileno()} its.conf\0".encode())
            files.seek(0)
            given = (file.fileno(), config.fileno(), files.fileno(), theirs.fileno())
            os.unlink(path)
            immured = subprocess.Popen(
                [harness.program_path("immured"), "--config", "its.conf",
                 "--files-fd", str(files.fileno()), "--session-fd", str(theirs.fileno())],
                pass_fds=given, stdin=subprocess.DEVNULL, user=65531, group=65531, extra_groups=[])
        theirs.close()
        with wire.Client(ours, timeout=harness.LIMIT) as client:
            self.assert_served(client, key)
            self.assertEqual(proc.uids(immured.pid), [65531] * 4)
            self.assertEqual(int(proc.status(immured.pid)["CapEff"], 16), 0)
        self.assertEqual(immured.wait(harness.LIMIT), 0)

    def test_only_files_that_were_given(self):
        """With a list of files no other file is opened, even if permissions allow it."""
        key, listener = Key("p-256"), self.listener()
        for text in (b"", b"99999 /a\0", b"no list"):
            with tempfile.TemporaryFile() as files:
                files.write(text)
                files.seek(0)
                immured = self.start(key, "--files-fd", str(files.fileno()), "--listen-fd",
                                     str(listener.fileno()),
                                     keep=(files.fileno(), listener.fileno()))
                self.assertEqual(immured.wait(harness.LIMIT), 1, text)

    def test_nobody_to_serve(self):
        immured = self.start(Key("p-256"))
        self.assertEqual(immured.wait(harness.LIMIT), 1)


class End(ImmuredTest):
    def test_term_answers_what_was_taken(self):
        key = Key("rsa-2048")
        immured = self.start_immured(key, program="immured-test", top='backend = "delay"')
        client, idle = self.connect(), self.connect()
        message, count = wire.tls13_message(), 300
        client.send(b"".join(wire.sign(id, key.id, wire.RSA_PSS_SHA256, message)
                             for id in range(1, count + 1)))
        harness.wait_until(lambda: idle.stats()[7] == count, "the requests to be taken")
        immured.signal(signal.SIGTERM)
        for _ in range(count):
            self.assertEqual(client.receive().type, wire.SIGNED)
        self.assertRaises(wire.Closed, client.receive)
        self.assertRaises(wire.Closed, idle.receive)
        self.assertEqual(immured.wait(), 0)

    def test_a_second_term_ends_it_at_once(self):
        key = Key("rsa-2048")
        immured = self.start_immured(key, program="immured-test", top='backend = "delay" queue-age = 1m')
        immured.expected_status = 1
        clients, idle, count = [self.connect() for _ in range(3)], self.connect(), 3000
        for client in clients:
            client.send(b"".join(wire.sign(id, key.id, wire.RSA_PSS_SHA256, wire.tls13_message())
                                 for id in range(1, count + 1)))
        harness.wait_until(lambda: idle.stats()[7] == count * len(clients), "the requests to be taken")
        immured.signal(signal.SIGTERM)
        harness.wait_until(lambda: "stopping" in immured.log(), "immured to stop")
        immured.signal(signal.SIGTERM)
        self.assertEqual(immured.wait(), 1)
        self.assertIn("not fully answered", immured.log())


def weights(pid):
    """[(nice value, scheduling policy), ...] of its threads."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        fields = proc.read(pid, f"task/{task}/stat").rsplit(")", 1)[1].split()
        found.append((int(fields[16]), int(fields[38])))
    return sorted(found)


class Walls(ImmuredTest):
    @harness.not_sanitized("the walls stay open")
    def test_doors(self):
        pid = key_process(self.start_immured(Key("rsa-2048"), Key("p-256"), top="yield = yes"))
        tasks = os.listdir(f"/proc/{pid}/task")
        self.assertEqual(len(tasks), 3, "main, one signer, the express")
        for task in tasks:
            status = dict(line.split(":", 1) for line in
                          proc.read(pid, f"task/{task}/status").splitlines())
            self.assertEqual(status["Seccomp"].strip(), "2", task)
            self.assertEqual(status["NoNewPrivs"].strip(), "1", task)
            for name in ("CapEff", "CapPrm", "CapAmb"):
                if os.geteuid() == 0:
                    self.assertEqual(int(status[name], 16), 0, task)
        self.assertRegex(proc.read(pid, "limits"), r"Max core file size +0 +0 ")
        # not dumpable: its entries belong to root, not to its user
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0)
        if os.geteuid() == 0:
            self.assertNotIn(0, proc.uids(pid))
            self.assertEqual(proc.status(pid)["Groups"], "")
        self.assertEqual(weights(pid), [(OWN_NICE, os.SCHED_BATCH)] * 2 + [(19, os.SCHED_BATCH)])

    @harness.not_sanitized("a sanitizer may have a thread of its own")
    def test_signers_that_do_not_yield(self):
        pid = key_process(self.start_immured(Key("rsa-2048"), Key("p-256")))
        self.assertEqual(weights(pid), [(OWN_NICE, os.SCHED_OTHER)] * 2 +
                         [(min(OWN_NICE + 5, 19), os.SCHED_BATCH)])

    @harness.not_sanitized("the walls stay open")
    @harness.needs_root("to become the user of immured")
    def test_its_own_user_cannot_trace_it(self):
        pid = key_process(self.start_immured(Key("p-256")))
        uid = proc.uids(pid)[0]
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            try:
                with open(f"/proc/{pid}/mem", "rb"):
                    os._exit(1)
            except PermissionError:
                os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    @harness.needs_root("that is what it gives up")
    def test_no_secret_is_read_as_root(self):
        locked, phrase = encrypted(certificate("p-384"), "open sesame")
        secret = os.path.join(self.directory, "secret")
        with open(secret, "wb") as file:
            file.write(os.urandom(64))
        for path in (locked.key, phrase, secret):
            os.chmod(path, 0o600)
        self.start_immured(
            Key("p-256"), program="immured-test",
            top=f'user = 65530\nticket-secret-file = "{secret}"\n'
                f'key other {{ file = "{locked.key}" pass-phrase-file = "{phrase}" }}')
        test = subprocess.run([harness.program_path("immured-test"), "--test", "--config",
                               self.config], stderr=subprocess.PIPE, text=True, check=True,
                              timeout=harness.LIMIT)
        for log in (self.programs[-1].log(), test.stderr):
            self.assertEqual(re.findall(r"uid (\d+) reads", log), ["65530"] * 4, log)

    @harness.needs_root("to choose a user")
    def test_another_user(self):
        pid = key_process(self.start_immured(Key("p-256"), top="user = 65530"))
        self.assertEqual(proc.uids(pid), [65530] * 4)

    def test_first_log_line_behind_closed_doors(self):
        key = Key("p-256")
        config = os.path.join(self.directory, "quiet.conf")
        self.path = os.path.join(self.directory, "quiet.sock")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.path}"\nlog-level = warning\n'
                       f'key "k" {{ file = "{key.file}" }}\n')
        immured = self.start_program("immured", "--config", config)

        def connected():
            with contextlib.suppress(OSError):
                return self.connect()
            return None
        client = harness.wait_until(connected, "the socket of immured")
        client.send(wire.frame(0x55, 1))
        self.assert_ended(client, wire.E_FRAME_TYPE)
        self.assert_served(self.connect(), key)
        self.assertIn("warning: session of uid", immured.log())

    def test_many_threads_behind_closed_doors(self):
        keys = [Key("p-256"), Key("rsa-2048"), Key("ed25519")]
        self.start_immured(*keys, threads=40, top="queue-age = 1m")
        clients = [self.connect() for _ in range(4)]
        count = 1000
        for client in clients:
            client.send(b"".join(
                wire.sign(id, keys[id % 3].id, keys[id % 3].tls13_scheme(), wire.tls13_message())
                for id in range(1, count + 1)))
        for client in clients:
            self.assertEqual({client.receive().type for _ in range(count)}, {wire.SIGNED})

    def test_silent_sessions_make_room_when_descriptors_run_out(self):
        key, limit = Key("p-256"), 64
        self.start_immured(key).stop()
        log_path = os.path.join(self.directory, "log")
        with open(log_path, "wb") as log:
            immured = subprocess.Popen(
                ["/bin/sh", "-c", f'ulimit -n {limit} && exec "$0" --config "$1"',
                 harness.program_path("immured"), self.config],
                stdin=subprocess.DEVNULL, stderr=log)
        self.addCleanup(immured.wait, harness.LIMIT)
        self.addCleanup(immured.terminate)
        log = self.own(open(log_path, encoding="utf-8"))
        harness.wait_until(lambda: "ready:" in log.read(), "immured to be ready")
        first = self.connect()
        clients = [self.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                   for _ in range(limit + 20)]
        for each in clients:
            each.connect(self.path)
            first.ping()
        harness.wait_until(lambda: "there is no room for another" in log.read(), "the limit to be reached")
        pid = key_process(immured)
        before = proc.cpu(pid)
        time.sleep(1)
        self.assertLess(proc.cpu(pid) - before, 0.2, "it does not spin")
        self.assert_served(first, key)
        self.assert_served(wire.Client(clients[-1], timeout=harness.LIMIT), key)
        self.assertEqual(clients[0].recv(1), b"", "the most silent one has made room")


if __name__ == "__main__":
    harness.main()

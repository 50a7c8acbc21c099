"""Thousands of keys: the number of open descriptors does not grow with them, not even during a
HUP."""

import os
import re
import signal

import harness
import proc
import wire
from immured import Key, key_process, write_p256_keys
from service import ServiceTest, section

KEYS = harness.scaled(10000, 1000)
DESCRIPTORS = 64  # at most, in every process
LIMIT = 300  # seconds, for so many keys on a machine that is busy


class ManyKeys(ServiceTest):
    def start_limited(self, *sections):
        """Starts it with `ulimit -n 256`, as in the bug report about one descriptor per key."""
        self.configure(*sections)
        program = harness.program_path("immured")
        self.immured = self.start_program(
            "/bin/sh", "-c", f'ulimit -n 256 && exec "{program}" --config "{self.config}"')
        self.wait_for("serves", 1)

    def wait_for(self, text, count):
        harness.wait_until(lambda: self.count(text) >= count or not self.immured.running(), text,
                           limit=LIMIT, pause=0.2)
        self.assertTrue(self.immured.running(), self.immured.log()[-2000:])

    def hup(self, text="serves"):
        before = self.count(text)
        self.immured.signal(signal.SIGHUP)
        most = 0
        while self.count(text) == before:
            for pid in (self.immured.pid, *proc.children(self.immured.pid)):
                try:
                    most = max(most, proc.descriptors(pid))
                except (FileNotFoundError, ProcessLookupError):
                    pass  # it has ended
        return most

    @harness.needs_root("to see what the processes have open")
    def test_descriptors_do_not_grow_with_keys(self):
        key = Key("p-256")
        many = write_p256_keys(self.directory, KEYS)
        self.start_limited(section("first", key), *many)
        for pid in (self.immured.pid, key_process(self.immured)):
            self.assertLessEqual(proc.descriptors(pid), DESCRIPTORS, proc.opened(pid))
        self.assertIn(f"ready: {KEYS + 1} keys", self.immured.log())
        client = self.connect()
        self.assertEqual(len(client.keys()), KEYS + 1)
        self.assert_served(client, key)

        most = self.hup()
        self.assertLessEqual(most, DESCRIPTORS)
        self.assert_served(self.connect(), key)

        for number in range(KEYS):
            os.unlink(os.path.join(self.directory, f"{number}.pem"))
        before = self.count("serves")
        os.kill(key_process(self.immured), signal.SIGKILL)
        self.wait_for("serves", before + 1)
        client = self.connect()
        self.assertEqual(len(client.keys()), KEYS + 1, "what is in force stays in force without its files")
        name, spki, _ = client.keys()[KEYS // 2]
        self.assertTrue(name)
        self.assertEqual(client.sign(wire.key_id(spki), wire.ECDSA_SHA256, wire.tls13_message()).type, wire.SIGNED)

        before = self.count(" error: ")
        self.hup(text="is not taken over")  # each file that is missing is named
        self.assertEqual(self.count(" error: "), before + KEYS + 1)
        self.assertEqual(len(self.connect().keys()), KEYS + 1)

        self.configure(section("first", key))
        self.hup()
        harness.wait_until(lambda: len(proc.children(self.immured.pid)) == 1, "the old one to go")
        client = self.connect()
        self.assertEqual([name for name, _, _ in client.keys()], ["first"])
        self.assert_served(client, key)
        for pid in (self.immured.pid, key_process(self.immured)):
            self.assertLessEqual(proc.descriptors(pid), 16, proc.opened(pid))

    def test_the_configuration_alone(self):
        """--test opens the files itself."""
        self.configure(*write_p256_keys(self.directory, KEYS))
        program = harness.program_path("immured")
        run = self.start_program("/bin/sh", "-c",
                                 f'ulimit -n {DESCRIPTORS} && exec "{program}" --test --config "{self.config}"')
        self.assertEqual(run.wait(LIMIT), 0, run.log()[-2000:])
        self.assertTrue(re.search(f"is good: {KEYS} keys", run.log()), run.log()[-2000:])

    @harness.needs_root("to be a user whose limits hold")
    def test_little_memory_that_may_be_locked(self):
        """Enough for P-256 keys, not for as many of any kind: it is used, and the log says what is lacking."""
        count = 100
        self.configure(*write_p256_keys(self.directory, count))
        os.chmod(self.directory, 0o755)
        program = harness.program_path("immured")
        plain = self.start_program("immured", "--test", "--config", self.config)
        plain.wait(LIMIT)
        if "ORDINARY" in plain.log():
            self.skipTest("there is no secret memory here")
        for limit, said in ((8000, f"RLIMIT_MEMLOCK leaves room for 8000 KiB; {count} keys of any kind need"),
                            (2000, "raise RLIMIT_MEMLOCK to")):
            run = self.start_program(
                "/bin/sh", "-c", f"ulimit -l {limit} && exec setpriv --reuid=65534 --regid=65534 --clear-groups "
                                 f'"{program}" --test --config "{self.config}"')
            self.assertEqual(run.wait(LIMIT), 0, run.log())
            self.assertIn(said, run.log())
            self.assertIn(f"is good: {count} keys", run.log())
            self.assertEqual("ORDINARY" in run.log(), limit < 8000)


if __name__ == "__main__":
    harness.main()

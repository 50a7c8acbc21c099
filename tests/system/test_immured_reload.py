"""A HUP that fails, for whatever reason: one line says why, the configuration in force stays, and
the next HUP starts afresh."""

import os
import re
import resource
import shutil
import signal
import stat
import time
from unittest import mock

import harness
import keyparts
import proc
from immured import Key, key_process, write_p256_keys
from service import ServiceTest, section

REFUSED = "is not taken over"


class Refusals(ServiceTest):
    def setUp(self):
        super().setUp()
        self.key, self.other = Key("p-256"), Key("p-256", serial=2)

    def refused(self, *sections, top=""):
        """HUP with this configuration: returns the line that refuses it, the only one that says so."""
        before = self.count(REFUSED)
        self.reload(*sections, top=top, said=REFUSED)
        time.sleep(0.3)  # it is not tried again
        self.assertEqual(self.count(REFUSED), before + 1, self.immured.log())
        return [line for line in self.immured.log().splitlines() if REFUSED in line][-1]

    def held(self):
        """The supervisor's open files, without the numbers of sockets, which change."""
        return sorted(re.sub(r"\d+", "N", name) for name in proc.opened(self.immured.pid))

    def assert_as_before(self, held):
        """The old key serves, also when its process is killed; no descriptor and no process is left behind."""
        harness.wait_until(lambda: len(proc.children(self.immured.pid)) == 1, "the refused one to go")
        self.assertEqual(self.held(), held)
        self.assert_served(self.connect(), self.key)
        serves = self.count("serves")
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count("serves") > serves, "the next key process")
        self.assert_served(self.connect(), self.key)
        self.assertEqual(self.held(), held)

    def limited(self, which, soft):
        """For a `with`: the supervisor has this limit meanwhile."""
        test = self

        class Limited:
            def __enter__(self):
                self.before = resource.prlimit(test.immured.pid, which)
                resource.prlimit(test.immured.pid, which, (soft, self.before[1]))

            def __exit__(self, *_):
                resource.prlimit(test.immured.pid, which, self.before)
        return Limited()

    @harness.needs_root("to see what the supervisor has open")
    def test_of_every_kind(self):
        """Without descriptors or the program, or with another program; without a file; a mistake."""
        path = os.path.join(self.directory, "immured")
        shutil.copy(harness.program_path("immured"), path)
        with mock.patch.object(harness, "BIN", self.directory):
            self.start(section("k", self.key))
        held = self.held()
        good = section("k", self.other)
        for few in (len(held), len(held) + 3, len(held) + 5):
            with self.limited(resource.RLIMIT_NOFILE, few):
                self.assertIn("Too many open files", self.refused(good) + self.immured.log())
            self.assert_as_before(held)
        os.rename(path, path + ".away")
        self.assertRegex(self.refused(good), "immured.conf is not taken over: no key process of .*: No such file")
        os.rename(path + ".away", path)
        self.assert_as_before(held)
        for program in ("/bin/false", harness.program_path("immured")):
            shutil.copy(program, path + ".new")
            os.rename(path + ".new", path)
            if program == "/bin/false":
                self.refused(good)
        self.assert_as_before(held)
        for bad in ('key "k" { file = "/nonexistent" }\n', section("k", self.other, 'backend = "none"')):
            self.refused(bad)
            self.assert_as_before(held)
        self.reload(good)
        self.assert_served(self.connect(), self.other)
        self.assertEqual(self.held(), held)

    def candidate(self):
        """HUP, and the key process that it starts, stopped."""
        known, serves = proc.children(self.immured.pid), self.count("serves")
        # many keys, so that there is time to stop it
        self.configure(section("k", self.other), *write_p256_keys(self.directory, 300))
        self.immured.signal(signal.SIGHUP)
        pid = proc.newborn(self.immured.pid, known)
        proc.stop(pid)
        self.assertEqual(self.count("serves"), serves)
        return pid

    def test_the_new_one_is_killed(self):
        self.start(section("k", self.key))
        before = self.count("serves")
        pid = self.candidate()
        os.kill(pid, signal.SIGKILL)
        harness.wait_until(lambda: self.count(REFUSED), "the refusal")
        self.assertIn(f"is not taken over: the key process (pid {pid}) was killed by signal 9 (Killed); "
                      "the running configuration goes on", self.immured.log())
        self.assert_served(self.connect(), self.key)
        self.reload(section("k", self.other))
        self.assert_served(self.connect(), self.other)

    def test_the_new_one_hangs(self):
        """The running configuration does not wait for it, even when its key process is killed
        meanwhile. When the new one has been given up, the last HUP that arrived in between is
        handled."""
        self.start(section("k", self.key))
        before = self.count("serves")
        pid = self.candidate()
        victim, = set(proc.children(self.immured.pid)) - {pid}
        os.kill(victim, signal.SIGKILL)
        harness.wait_until(lambda: self.count("serves") > before, "the next key process of what is in force")
        self.assert_served(self.connect(), self.key)
        self.configure(section("third", self.other))
        self.immured.signal(signal.SIGHUP)
        self.assert_served(self.connect(), self.key)
        harness.wait_until(lambda: self.count(f"is not taken over: the key process (pid {pid}) is not ready in time"),
                           "it to be given up", limit=90)
        harness.wait_until(lambda: self.count("serves") > before + 1, "the last configuration")
        self.assertEqual([name for name, _, _ in self.connect().keys()], ["third"])
        harness.wait_until(lambda: not proc.alive(pid), "it to be gone", limit=30)

    def test_nothing_of_it_is_applied_later(self):
        """Neither the mode of the socket nor the level of the log, when what is in force is started again."""
        self.start(section("k", self.key), top="log-level = info")
        self.refused(section("k", self.key, "allow-groups = {7}"), 'key "bad" { file = "/nonexistent" }\n',
                     top="log-level = error")
        before = self.count("serves")
        os.kill(key_process(self.immured), signal.SIGKILL)
        harness.wait_until(lambda: self.count("serves") > before, "the next key process")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    @harness.needs_root("to look into the supervisor")
    @harness.not_sanitized("the sanitizer's own memory is terabytes of address space")
    def test_the_supervisor_has_nothing_to_read(self):
        """The supervisor does not map the files that it keeps, so no key is in its memory."""
        self.start(section("k", self.key))
        self.reload(section("k", self.other))
        for key in (self.key, self.other):
            self.assertEqual(keyparts.search(self.immured.pid, keyparts.needles(key.file)), set())
        self.assertNotIn("memfd:vault", proc.read(self.immured.pid, "maps"))
        vaults = [number for number in os.listdir(f"/proc/{self.immured.pid}/fd")
                  if os.readlink(f"/proc/{self.immured.pid}/fd/{number}").startswith("/memfd:vault")]
        self.assertEqual(len(vaults), 1)
        with open(f"/proc/{self.immured.pid}/fd/{vaults[0]}", "rb") as vault:
            sealed = vault.read()
        self.assertIn(self.other.file.encode(), sealed)
        with open(self.other.file, "rb") as file:
            text = file.read()
        for begin in range(0, len(text) - 16):
            self.assertNotIn(text[begin:begin + 16], sealed)
        self.assertEqual(os.stat(f"/proc/{self.immured.pid}/mem").st_uid, 0)


if __name__ == "__main__":
    harness.main()

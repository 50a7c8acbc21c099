"""HUP when only certificates and keys have changed: they come into force in the processes that run."""

import os
import shutil
import signal

import clients
import folders
import harness
import proc
from certificates import certificate, der

HEALTHY = [f"{name}.example" for name in ("a", "b", "c")]


class CertificateRefresh(folders.FolderTest):
    NAMES = HEALTHY

    def put(self, made, key=None):
        """As a program that renews certificates does it: each file is replaced at once."""
        for source, ending in ((key or made.key, ".key"), (made.chain, ".crt")):
            target = self.path(made.names[0], ending)
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)

    def remove(self, name):
        for ending in (".crt", ".key"):
            os.unlink(self.path(name, ending))

    def hup(self, said="is in force: worker pid"):
        before = self.proxy.log().count(said)
        self.proxy.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.proxy.log().count(said) > before, "the refresh")

    def listed(self):
        return sorted(each["names"].split(",")[0] for each in self.proxy.status()["certificates"])

    def test_added_replaced_and_removed(self):
        proxy = self.start()
        established = self.own(clients.connect(proxy.port, name="a.example"))
        load = clients.HandshakeLoad(proxy.port, 2)
        new = certificate("p-256", "d.example")
        next_b = certificate("p-256", "b.example", serial=2)
        self.put(new)
        self.put(next_b)
        self.remove("c.example")
        self.hup()
        load.stop()
        self.assertEqual(load.failures, [])
        self.assert_same_processes()
        clients.echo_once(established)
        self.assert_shown(self.made["a.example"], next_b, new)
        self.assertNotEqual(self.shown("c.example"), der(self.made["c.example"]))
        for name, change in (("d", "added"), ("b", "replaced"), ("c", "removed")):
            self.assertIn(f"certificate: {self.path(name + '.example', '.crt')} is {change}\n", proxy.log())
        self.assertNotIn(f"{self.path('a.example', '.crt')} is", proxy.log())
        self.assertIn("1 added, 1 replaced, 1 removed; 0 files cannot be used", proxy.log())
        harness.wait_until(lambda: self.listed() == ["a.example", "b.example", "d.example"],
                           "the list of the admin page")
        self.assertEqual(proxy.metric("immure_certificates"), 3)
        self.assertEqual(proxy.log().count("is removed"), 3)  # the certificate, and two keys

    def test_sessions_go_on(self):
        """Those of a certificate that has not changed."""
        proxy = self.start()
        tls = clients.context(clients.TLS12)
        with clients.connect(proxy.port, tls, name="a.example") as connection:
            clients.echo_once(connection)
            session = connection.session
        self.put(certificate("p-256", "b.example", serial=2))
        self.hup()
        with clients.connect(proxy.port, tls, name="a.example", session=session) as connection:
            self.assertTrue(connection.session_reused)

    def test_nothing_has_changed(self):
        proxy = self.start()
        for _ in range(3):
            self.hup()
        self.assert_same_processes()
        self.assertEqual(proxy.log().count("0 added, 0 replaced, 0 removed"), 3)
        self.assert_shown(*self.made.values())

    def test_a_key_that_is_another(self):
        """It is refused, and what was served goes on until the pair fits."""
        proxy = self.start()
        next_b, new = certificate("p-256", "b.example", serial=2), certificate("p-256", "d.example")
        self.put(next_b, key=self.made["b.example"].key)
        self.put(new, key=self.made["c.example"].key)
        self.hup()
        self.assert_same_processes()
        self.assert_shown(*self.made.values())
        self.assertRegex(proxy.log(), "b.example.crt: immured refuses its key: .*it is not the key of the "
                                      "certificate; the one before goes on")
        self.assertRegex(proxy.log(), "d.example.crt: immured refuses its key: .*; it is not served")
        self.put(next_b)
        self.put(new)
        self.hup()
        self.assert_same_processes()
        self.assert_shown(self.made["a.example"], next_b, new)

    def test_a_file_that_cannot_be_used(self):
        proxy = self.start()
        with open(self.path("b.example", ".crt"), "w", encoding="ascii") as file:
            file.write("half a cert")
        os.unlink(self.path("c.example", ".key"))
        self.put(certificate("p-256", "d.example"))
        os.unlink(self.path("d.example", ".key"))
        self.hup()
        self.assert_same_processes()
        self.assert_shown(self.made["a.example"], self.made["b.example"])
        self.assertIn("b.example.crt: not a PEM certificate chain", proxy.log())
        harness.wait_until(lambda: proxy.metric("immure_certificates_failed") >= 1, "the figure")

    def test_a_key_with_several_certificates(self):
        """Any file that has it will do, as at the start."""
        proxy = self.start()
        new, others = certificate("p-256", "d.example"), certificate("p-256", "e.example")
        for name in ("k", "l", "m", "n"):  # before and after the one with its key
            shutil.copy(new.chain, self.path(name, ".crt"))
        shutil.copy(others.key, self.path("k", ".key"))
        shutil.copy(new.key, self.path("m", ".key"))
        self.hup()
        self.assertNotIn("refuses its key", proxy.log())
        self.assert_shown(*self.made.values(), new)
        os.kill(self.proxy.immured(), signal.SIGKILL)
        self.assert_shown(new)
        for name in ("k", "l", "n", "m"):
            os.unlink(self.path(name, ".crt"))
        self.hup()
        os.unlink(self.path("m", ".key"))
        shutil.copy(new.chain, self.path("m", ".crt"))
        shutil.copy(new.chain, self.path("n", ".crt"))
        self.hup()
        self.assertRegex(proxy.log(), "m.crt: immured refuses its key")
        self.assertRegex(proxy.log(), "n.crt: immured refuses its key")
        self.assert_shown(*self.made.values())

    def test_a_key_that_is_lacking(self):
        """It disturbs no other certificate, and is taken when it is there."""
        made, key = self.made["b.example"], self.path("b.example", ".key")
        os.unlink(key)
        proxy = self.start(top="certificates-watch = yes")
        new = certificate("p-256", "d.example")
        self.put(new)
        harness.wait_until(lambda: f"{self.path('d.example', '.crt')} is added" in proxy.log(), "a new one")
        self.assert_shown(self.made["a.example"], new)
        self.assertIn(f"immured still lacks a key: {key}: No such file or directory", proxy.log())
        shutil.copy(made.key, key)
        added = f'key "{key}" is added'
        harness.wait_until(lambda: " goes on" in proxy.log().partition(added)[2], "the key")
        self.assert_shown(*self.made.values(), new)
        os.unlink(key)
        self.hup()
        os.kill(self.proxy.immured(), signal.SIGKILL)
        self.assert_shown(made)
        self.assertEqual(self.proxy.worker(), self.processes[0])

    def test_the_next_processes_have_what_is_in_force(self):
        proxy = self.start()
        next_b = certificate("p-256", "b.example", serial=2)
        self.put(next_b)
        self.remove("c.example")
        self.hup()
        self.assert_same_processes()
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        for title, which in (("immured", proxy.immured), ("worker", proxy.worker)):
            before = which()
            os.kill(before, signal.SIGKILL)
            harness.wait_until(lambda which=which, before=before: which() not in (0, None, before), f"another {title}")
        harness.wait_until(lambda: "is ready" in proxy.log() and proxy.log().count("ready: ") >= 2, "both")
        self.assert_shown(self.made["a.example"], next_b)
        self.assertTrue(proc.alive(proxy.pid))

    def test_more_than_certificates(self):
        """A kind of key that the route had none of, and another text, take another worker."""
        self.start()
        self.put(certificate("rsa-2048", "d.example"))
        self.hup()
        self.assertNotEqual(self.proxy.worker(), self.processes[0])
        self.processes = self.proxy.worker(), self.proxy.immured()
        self.proxy.write_config(self.proxy.config + "# changed\n\n")
        self.hup()
        self.assertNotEqual(self.proxy.worker(), self.processes[0])

    def test_folders_that_are_watched(self):
        """Without HUP; a pair is taken when both halves are there."""
        proxy = self.start(top="certificates-watch = yes")
        next_b, new = certificate("p-256", "b.example", serial=2), certificate("p-256", "d.example")
        shutil.copy(next_b.chain, self.path("b.example", ".crt"))
        harness.wait_until(lambda: "b.example.crt: immured refuses its key" in proxy.log(), "the refusal")
        self.assert_shown(*self.made.values())
        shutil.copy(next_b.key, self.path("b.example", ".key"))
        harness.wait_until(lambda: f"{self.path('b.example', '.crt')} is replaced" in proxy.log(), "the next one")
        self.put(new)
        harness.wait_until(lambda: f"{self.path('d.example', '.crt')} is added" in proxy.log(), "a new one")
        self.remove("c.example")
        harness.wait_until(lambda: f"{self.path('c.example', '.crt')} is removed" in proxy.log(), "one less")
        self.assert_shown(self.made["a.example"], next_b, new)
        self.assert_same_processes()

    def test_a_folder_within_a_folder(self):
        """As certbot makes it, after the start."""
        proxy = self.start(top="certificates-watch = yes")
        for serial, change in ((1, "added"), (2, "replaced")):
            made = certificate("p-256", "d.example", serial=serial)
            os.makedirs(os.path.join(self.folder, "d.example"), exist_ok=True)
            for source, name in ((made.key, "privkey.pem"), (made.chain, "fullchain.pem")):
                target = os.path.join(self.folder, "d.example", name)
                shutil.copy(source, target + ".new")
                os.rename(target + ".new", target)
            harness.wait_until(lambda change=change: f"d.example/fullchain.pem is {change}" in proxy.log(), change)
            self.assert_shown(made)
        self.assert_same_processes()

    def test_a_folder_that_is_replaced(self):
        """By another one, after a while without any, and by a link that is changed."""
        proxy = self.start(top="certificates-watch = yes")
        new = certificate("p-256", "d.example")
        os.rename(self.folder, self.folder + ".1")
        harness.wait_until(lambda: f"{self.folder}: No such file or directory" in proxy.log(), "the refusal")
        self.assert_shown(*self.made.values())
        for number in (2, 3):
            shutil.copytree(self.folder + ".1", f"{self.folder}.{number}")
        os.symlink(self.folder + ".2", self.folder)
        self.put(new)
        harness.wait_until(lambda: f"{self.path('d.example', '.crt')} is added" in proxy.log(), "a new one")
        self.assert_shown(new)
        os.symlink(self.folder + ".3", self.folder + ".link")
        os.rename(self.folder + ".link", self.folder)
        harness.wait_until(lambda: f"{self.path('d.example', '.crt')} is removed" in proxy.log(), "one less")
        self.put(certificate("p-256", "b.example", serial=2))
        harness.wait_until(lambda: f"{self.path('b.example', '.crt')} is replaced" in proxy.log(), "the next one")
        self.assert_same_processes()

    def test_a_text_that_has_changed_is_left_to_hup(self):
        proxy = self.start(top="certificates-watch = yes")
        proxy.write_config(proxy.config + "unknown = yes\n")
        self.put(certificate("p-256", "b.example", serial=2))
        harness.wait_until(lambda: "HUP takes them" in proxy.log(), "the line")
        self.assert_shown(*self.made.values())
        self.assert_same_processes()

    @harness.needs_root("to see what the worker has")
    def test_again_and_again(self):
        """Each refresh gives back what the one before took."""
        proxy = self.start()
        load = clients.HandshakeLoad(proxy.port, 2)
        descriptors = None
        for serial in range(2, 12):
            made = certificate("p-256", "b.example", serial=serial)
            self.put(made)
            self.hup()
            self.assert_shown(made)
            count = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (proxy.pid, self.processes[1])]
            descriptors = descriptors or count
            self.assertEqual(count, descriptors)
        load.stop()
        self.assertEqual(load.failures, [])
        self.assert_same_processes()
        harness.wait_until(
            lambda: proc.read(self.processes[0], "maps").count("memfd:certificates") == 1,
            "the worker to unmap the stores before")


if __name__ == "__main__":
    harness.main()

"""The Debian packages: they build, lintian has nothing to say, each build makes the same, and in a clean
root they can be installed, used, removed and purged."""

import glob
import hashlib
import os
import re
import shutil
import subprocess

import hardening
import harness
from clean_root import CleanRoot, Machine, Refused

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILT = os.path.join(ROOT, "build/packages")
NEXT = os.path.join(BUILT, "next")
MAN_PAGES = ["immured.8", "immured.conf.5", "immure-proxy.8", "immure-proxy.conf.5", "immure.1",
             "immure-storm.1", "immure-provider.7"]
# Exposure that systemd-analyze finds: what the units could not give up (they start as root, to read
# keys and become users of their own) and nothing more. Tenths of its figure, up to 100.
EXPOSURE = {"immured.service": 16, "immure-proxy.service": 26}

PROGRAM = """
#include <immure/client.h>
#include <stdio.h>
int main(void)
{
    struct immure_client *client = immure_client_new(NULL);
    printf("%s, %zu\\n", immure_error_text(IMMURE_E_BUSY), immure_client_pending(client));
    immure_client_free(client);
}
"""
OPENSSL_PROGRAM = """
#include <immure/openssl.h>
int main() { immure_openssl_context_free(immure_openssl_context()); }
"""


def build(*options):
    done = subprocess.run([os.path.join(ROOT, "script/package"), *options], capture_output=True,
                          text=True, check=False, timeout=600, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"script/package: {done.stdout}{done.stderr}")
    return sorted(path for path in glob.glob(f"{BUILT}/*.deb") if "-dbgsym_" not in path)


def make_next_version(packages):
    """The same programs as a later version, whose default configurations are others, in NEXT."""
    os.mkdir(NEXT)
    for path in packages:
        tree = os.path.join(NEXT, "tree")
        subprocess.run(["dpkg-deb", "--raw-extract", path, tree], check=True)
        control = os.path.join(tree, "DEBIAN/control")
        with open(control, encoding="utf-8") as file:
            text = file.read()
        version = re.search(r"^Version: (\S+)$", text, flags=re.M).group(1)
        with open(control, "w", encoding="utf-8") as file:
            file.write(re.sub(rf"(Version: |= ){re.escape(version)}\b", rf"\g<1>{version}+next", text))
        for configuration in glob.glob(f"{tree}/etc/immure/*.conf"):
            with open(configuration, "a", encoding="utf-8") as file:
                file.write("# next\n")
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree,
                        os.path.join(NEXT, os.path.basename(path))], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)


def digests():
    result = {}
    for path in glob.glob(f"{BUILT}/*.deb"):
        with open(path, "rb") as file:
            result[os.path.basename(path)] = hashlib.sha256(file.read()).hexdigest()
    return result


@harness.not_sanitized("packages are built without")
@harness.needs("dpkg-buildpackage", "lintian", "pandoc", "dh")
class Package(harness.SystemTest):
    @classmethod
    def setUpClass(cls):
        cls.packages = build("--check")
        cls.names = [os.path.basename(path).partition("_")[0] for path in cls.packages]

    def test_all_are_there(self):
        self.assertEqual(self.names, ["immure-proxy", "immure-tools", "immured", "libimmure-dev",
                                      "libimmure-openssl1", "libimmure1", "openssl-provider-immure"])

    def test_a_build_can_be_reproduced(self):
        before = digests()
        build()
        self.assertEqual(digests(), before)

    @harness.needs("readelf", "objdump", "gcc")
    def test_programs_and_libraries_are_hardened(self):
        """Debian's tools bring flags of their own, and these must not win."""
        for path in self.packages:
            subprocess.run(["dpkg-deb", "--extract", path, self.directory], check=True)
        files = sorted(hardening.elf_files(path for path in glob.glob(f"{self.directory}/**", recursive=True)
                                           if os.path.isfile(path) and not os.path.islink(path)))
        self.assertEqual(sum("/bin/" in path or "/sbin/" in path for path in files), 4, files)
        for path in files:
            with self.subTest(path=path[len(self.directory):]):
                self.assertEqual(hardening.faults(path, ".so" in path), [])
        with open(os.path.join(ROOT, "build/package.log"), encoding="utf-8") as log:
            self.assertNotRegex(log.read(), "_FORTIFY_SOURCE.*(redefined|requires)")

    def own_root(self, kind):
        try:
            root = kind(self.directory, BUILT)
        except Refused as reason:
            self.skipTest(f"this machine allows no {kind.__name__}: {reason}")
        self.addCleanup(root.stop)
        return root

    @harness.needs_root("it mounts")
    @harness.needs("unshare", "nsenter", "systemd-sysusers", "man")
    def test_life_in_a_clean_root(self):
        root = self.own_root(CleanRoot)
        before = root.changed()
        self.install(root)
        for check in (self.programs_run, self.users_are_there, self.examples_are_right,
                      self.man_pages_are_found, self.units_are_closed, self.provider_is_found,
                      self.programs_are_built):
            with self.subTest(check=check.__name__):
                check(root)
        self.configurations_are_upgraded(root)
        self.remove(root)
        left = {path for path in root.changed() - before
                if "immure" in path and not path.startswith(("/tmp/", "/var/cache/"))}
        self.assertEqual(left, set())

    @harness.needs_root("it mounts")
    @harness.needs("unshare", "nsenter", "systemd-nspawn")
    def test_services_in_a_booted_machine(self):
        """Behind the walls of their units the services do all that they do without."""
        root = self.own_root(Machine)
        self.install(root)
        self.make_key(root)
        for unit in ("immured.socket", "immured.service", "immure-proxy.service"):
            self.assertIn("inactive", root.run("systemctl", "is-active", unit).stdout)
        for program in ("immured", "immure-proxy"):
            self.good(root, "tee", f"/etc/immure/{program}.conf", text=self.examples(root, program))
        for check in (self.immured_serves, self.proxy_serves, self.services_are_bounded,
                      self.services_are_upgraded):
            with self.subTest(check=check.__name__):
                check(root)
        self.remove(root)
        self.assertNotRegex(self.good(root, "ps", "-e", "-o", "comm"), r"immure")

    def services_are_bounded(self, root):
        """What systemd understood is told to the kernel, where that has a controller for it."""
        total = int(self.good(root, "sh", "-c", "grep MemTotal: /proc/meminfo").split()[1]) * 1024
        for unit, most in (("immured.service", 3 << 29), ("immure-proxy.service", total)):
            self.good(root, "systemctl", "start", unit)
            shown = dict(line.split("=", 1) for line in self.good(
                root, "systemctl", "show", unit, "--property=MemoryMax,TasksMax,LimitNOFILE,LimitMEMLOCK,"
                "LimitCORE,OOMPolicy,ControlGroup").splitlines())
            self.assertEqual(shown["OOMPolicy"], "continue")
            self.assertEqual(shown["LimitCORE"], "0")
            self.assertEqual(shown["LimitMEMLOCK"], str(1 << 29))
            self.assertLessEqual(int(shown["LimitNOFILE"]), 1 << 20)
            self.assertLessEqual(int(shown["MemoryMax"]), most)
            self.assertLessEqual(int(shown["TasksMax"]), 4096)
            for name, property in (("memory.max", "MemoryMax"), ("pids.max", "TasksMax")):
                path = f"/sys/fs/cgroup{shown['ControlGroup']}/{name}"
                if root.run("test", "-e", path).returncode == 0:
                    self.assertEqual(self.good(root, "cat", path).strip(), shown[property], path)
        self.good(root, "systemctl", "stop", "immure-proxy")

    def immured_serves(self, root):
        self.good(root, "systemctl", "start", "immured.socket")
        self.assertIn("example.org", self.good(root, "immure", "key", "list"))
        users = self.good(root, "ps", "-C", "immured", "-o", "user=").split()
        self.assertEqual(users, ["root", "immured"], "the supervisor and the key process")
        self.good(root, "immure", "key", "test", "example.org")
        self.reference_stands_for_key(root)
        self.good(root, "systemctl", "reload", "immured")
        self.good(root, "systemctl", "restart", "immured")
        self.good(root, "immure", "key", "test", "example.org")
        self.assertNotIn("NOT LOCKED", self.journal(root, "immured"))

    def reference_stands_for_key(self, root):
        reference = self.good(root, "immure", "key", "reference", "example.org")
        certified = self.good(root, "openssl", "x509", "-noout", "-pubkey", "-in",
                              "/etc/immure/example.org.crt")
        public = self.good(root, "openssl", "pkey", "-provider", "default", "-provider", "immure",
                           "-propquery", "?provider!=immure", "-pubout", text=reference)
        self.assertEqual(public, certified)

    def proxy_serves(self, root):
        self.good(root, "systemctl", "start", "immure-proxy")
        self.handshake(root)
        self.good(root, "systemctl", "reload", "immure-proxy")
        self.handshake(root)  # perhaps with the old configuration: the command does not wait
        harness.wait_until(lambda: self.journal(root, "immure-proxy").count("is in force") == 2,
                           lambda: f"the new configuration: {self.journal(root, 'immure-proxy')}")
        self.good(root, "systemctl", "stop", "immure-proxy")

    def services_are_upgraded(self, root):
        """Running ones run the new version afterwards, the others stay as they are."""
        def main_process():
            return self.good(root, "systemctl", "show", "--property=MainPID", "immured.service")
        self.good(root, "immure", "key", "test", "example.org")
        before = main_process()
        self.upgrade(root)
        self.good(root, "immure", "key", "test", "example.org")
        self.assertNotEqual(main_process(), before)
        self.assertIn("inactive", root.run("systemctl", "is-active", "immure-proxy").stdout)

    def handshake(self, root):
        """Nobody is behind the proxy, and so its end has no close_notify, which s_client calls an error."""
        done = root.run("openssl", "s_client", "-connect", "127.0.0.1:443", "-CAfile",
                        "/etc/immure/example.org.crt", "-verify_return_error")
        self.assertIn("Verification: OK", done.stdout, done.stderr)
        self.assertRegex(done.stdout, r"New, TLSv1\.3, Cipher is TLS_")

    def journal(self, root, unit):
        return self.good(root, "journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def good(self, root, *command, text=""):
        done = root.run(*command, text=text)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def install(self, root):
        # Debian in containers leaves the man pages out.
        self.unpack(root, "/tmp/shared", "--path-include=/usr/share/man/*")

    def unpack(self, root, folder, *options):
        self.good(root, "dpkg", *options, "-i",
                  *[f"{folder}/{os.path.basename(path)}" for path in self.packages])
        self.assertEqual(self.good(root, "dpkg", "--audit"), "")

    def upgrade(self, root):
        self.addCleanup(shutil.rmtree, NEXT, ignore_errors=True)
        make_next_version(self.packages)
        self.unpack(root, "/tmp/shared/next", "--force-confold")

    def configurations_are_upgraded(self, root):
        """What the administrator has changed stays, and what the package brings lies beside it."""
        self.good(root, "tee", "--append", "/etc/immure/immured.conf", text="# ours\n")
        self.upgrade(root)
        for name, end in (("immured.conf", "# ours"), ("immured.conf.dpkg-dist", "# next"),
                          ("immure-proxy.conf", "# next")):
            self.assertEqual(self.good(root, "tail", "-n", "1", f"/etc/immure/{name}"), f"{end}\n")

    def programs_run(self, root):
        for program in ("immured", "immure-proxy", "immure", "immure-storm"):
            self.assertIn(program, self.good(root, program, "--help"))
            self.assertRegex(self.good(root, program, "--version"), rf"^{program} \d+\.\d+\.\d+")

    def users_are_there(self, root):
        for user in ("immured", "immure-proxy"):
            self.assertRegex(self.good(root, "getent", "passwd", user), r"nologin$")

    def make_key(self, root):
        self.good(root, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                  "/CN=example.org", "-keyout", "/etc/immure/example.org.key", "-out",
                  "/etc/immure/example.org.crt")

    def examples(self, root, program):
        """The default configuration with its examples in force, but for an immured of others."""
        defaults = self.good(root, "cat", f"/etc/immure/{program}.conf")
        return re.sub(r"^#(?! |\n|keys)|^#(?=    )", "", defaults, flags=re.M)

    def examples_are_right(self, root):
        self.make_key(root)
        for program in ("immured", "immure-proxy"):
            self.good(root, "tee", "/tmp/example.conf", text=self.examples(root, program))
            self.good(root, program, "--test", "--config", "/tmp/example.conf")
        self.good(root, "rm", "/etc/immure/example.org.key", "/etc/immure/example.org.crt")

    def man_pages_are_found(self, root):
        for page in MAN_PAGES:
            name, _, section = page.rpartition(".")
            self.assertIn(page, self.good(root, "man", "-w", section, name))
            self.assertIn(f"{name} ", self.good(root, "lexgrog", f"/usr/share/man/man{section}/{page}.gz"))

    def units_are_closed(self, root):
        folder = os.path.dirname(self.good(root, "dpkg", "-L", "immured").partition(
            "/immured.service")[0].splitlines()[-1] + "/immured.service")
        self.good(root, "systemd-analyze", "verify",
                  *[f"{folder}/{unit}" for unit in (*EXPOSURE, "immured.socket")])
        for unit, most in EXPOSURE.items():
            self.good(root, "systemd-analyze", "security", "--offline=true",
                      f"--threshold={most}", f"{folder}/{unit}")

    def provider_is_found(self, root):
        self.assertRegex(self.good(root, "openssl", "list", "-providers", "-provider", "default",
                                   "-provider", "immure"), r"immure\n.*\n.*\n *status: active")

    def programs_are_built(self, root):
        for libraries in ("-limmure", "-l:libimmure.a"):
            self.good(root, "sh", "-c", "gcc -x c -o /tmp/program - -x none "
                      f"$(pkg-config --cflags immure) {libraries}", text=PROGRAM)
            self.assertRegex(self.good(root, "/tmp/program"), r"queue.*, 0\n")
        self.assertIn("-limmure", self.good(root, "pkg-config", "--libs", "immure"))
        self.good(root, "sh", "-c", "gcc -x c -o /tmp/program - -x none "
                  "$(pkg-config --cflags --libs immure-openssl)", text=OPENSSL_PROGRAM)
        self.good(root, "/tmp/program")

    def remove(self, root):
        self.good(root, "dpkg", "--remove", *self.names)
        self.assertEqual(root.run("test", "-e", "/usr/sbin/immured").returncode, 1)
        self.assertEqual(root.run("test", "-e", "/etc/immure/immured.conf").returncode, 0)
        self.good(root, "dpkg", "--purge", "immured", "immure-proxy")


if __name__ == "__main__":
    harness.main()

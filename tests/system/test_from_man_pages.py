"""docs/api: every public function has a page with its prototype, and a program that was written
from the pages alone, with only what is installed, serves a handshake."""

import os
import re
import subprocess
import unittest

import clients
import harness
from certificates import certificate

HERE = os.path.dirname(os.path.abspath(__file__))
PAGES = os.path.join(HERE, "../../docs/api")
INCLUDE = os.path.join(HERE, "../../include/immure")
EXAMPLES = os.path.join(HERE, "../../examples")
BORINGSSL = "/usr/include/android"
BUILD = os.path.join(harness.BIN, "..")


def squeezed(text):
    return " ".join(text.split())


def prototypes():
    """{function: its declaration} of all headers."""
    found = {}
    for name in os.listdir(INCLUDE):
        with open(os.path.join(INCLUDE, name), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/|^#.*?$|^\{.*?^\}", ";", file.read(), flags=re.S | re.M)
        for statement in re.split(r"[;{}]", text):
            function = re.search(r"\b(immure_\w+)\(", statement)
            if function and "typedef" not in statement:
                found[function[1]] = squeezed(statement) + ";"
    return found


def pages():
    """{file: (names of its title, its text)}"""
    found = {}
    for name in os.listdir(PAGES):
        with open(os.path.join(PAGES, name), encoding="utf-8") as file:
            text = file.read()
        found[name] = text.partition("\n")[0].removeprefix("# ").split(", "), text
    return found


class Pages(harness.SystemTest):
    def test_every_function_has_one(self):
        named = sorted(each for names, _ in pages().values() for each in names)
        self.assertEqual(named, sorted([*prototypes(), "libimmure"]))

    def test_each_is_called_after_its_first_function(self):
        for file, (names, _) in pages().items():
            self.assertEqual(file, names[0] + ".md")

    def test_prototypes_are_those_of_the_headers(self):
        declared = prototypes()
        for names, text in pages().values():
            for each in set(names) - {"libimmure"}:
                self.assertIn(declared[each], squeezed(text), each)

    def test_structures_are_those_of_the_headers(self):
        headers = ""
        for name in os.listdir(INCLUDE):
            with open(os.path.join(INCLUDE, name), encoding="utf-8") as file:
                headers += re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        everything = squeezed(headers)
        for file, (_, text) in pages().items():
            for structure in re.findall(r"^    (struct immure_\w+ \{.*?\};)", text, re.S | re.M):
                self.assertIn(squeezed(structure), everything, file)

    def test_every_error_is_told(self):
        with open(os.path.join(INCLUDE, "error.h"), encoding="utf-8") as file:
            errors = re.findall(r"\bIMMURE_\w+(?= = \d)", file.read())
        self.assertIn("IMMURE_E_BUSY", errors)
        for error in errors:
            self.assertIn(f"`{error}`", pages()["immure_error_text.md"][1])

    def test_each_page_is_a_man_page(self):
        with open(os.path.join(HERE, "../../cmake/man.cmake"), encoding="utf-8") as file:
            made = re.findall(r"^immure_man\((\w+)\.3 ", file.read(), re.M)
        self.assertEqual(sorted(made), sorted(file.removesuffix(".md") for file in pages()))


@harness.needs("gcc", "g++", "pkg-config", "cmake")
class Program(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.directory, "root")
        done = subprocess.run(["cmake", "--install", BUILD], env={**os.environ, "DESTDIR": self.root},
                              capture_output=True, text=True, check=False, timeout=harness.LIMIT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def installed(self, name):
        return next(os.path.join(folder, name) for folder, _, files in os.walk(self.root)
                    if name in files)

    def pkg_config(self, *arguments):
        environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": self.root,
                       "PKG_CONFIG_PATH": os.path.dirname(self.installed("immure.pc"))}
        return subprocess.run(["pkg-config", *arguments], env=environment, capture_output=True,
                              text=True, check=True, timeout=harness.LIMIT).stdout.split()

    def check(self, compiler, *language):
        program = os.path.join(self.directory, "program")
        sanitize = [f"-fsanitize={harness.SANITIZE}"] if harness.SANITIZE else []
        done = subprocess.run(
            [compiler, *language, *sanitize, "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
             *self.pkg_config("--cflags", "immure-openssl"), os.path.join(HERE, "from_man_pages.c"),
             "-x", "none", "-o", program, *self.pkg_config("--libs", "immure-openssl")],
            capture_output=True, text=True, check=False, timeout=harness.LIMIT)
        self.assertEqual(done.returncode, 0, done.stderr)

        served = certificate("p-256")
        library_path = os.path.dirname(self.installed("libimmure.so"))
        server = self.start_program(program, self.installed("immured"), served.key, served.chain,
                                    environment={**os.environ, "LD_LIBRARY_PATH": library_path})
        port = harness.wait_until(lambda: re.search(r"^port (\d+)$", server.log(), re.M)
                                  or not server.running(), "the program's port")
        self.assertTrue(server.running(), server.log())
        with clients.connect(int(port[1]), clients.context(trusted=served)) as connection:
            self.assertEqual(clients.receive_exactly(connection, 5), b"hello")
        self.assertEqual(server.wait(), 0)
        self.assertIn("key the key\n", server.log())
        self.assertIn("signed ecdsa_secp256r1_sha256\n", server.log())

    def compile_example(self, *sources, packages, flags=()):
        """Compiles the example as libimmure(3) describes."""
        done = subprocess.run(
            ["gcc", "-Wall", "-Wextra", "-Werror", *flags, *(os.path.join(EXAMPLES, name) for name in sources),
             "-o", os.path.join(self.directory, "example"),
             *self.pkg_config("--cflags", "--libs", *packages), *flags, "-Wl,--allow-shlib-undefined"],
            capture_output=True, text=True, check=False, timeout=harness.LIMIT)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_examples_compile(self):
        self.compile_example("openssl.c", "loop.c", packages=["immure-openssl"])
        if subprocess.run(["pkg-config", "--exists", "libuv"], check=False, timeout=60).returncode == 0:
            self.compile_example("libuv.c", "libuv_immured.c", packages=["immure-openssl", "libuv"])

    @unittest.skipUnless(os.path.isdir(BORINGSSL), "not installed: android-libboringssl-dev")
    def test_adapter_as_installed_compiles(self):
        libraries = os.path.join(subprocess.run(
            ["gcc", "-print-multiarch"], capture_output=True, text=True, check=True,
            timeout=60).stdout.strip(), "android")
        self.compile_example(
            "boringssl.c", "loop.c", self.installed("boringssl.c"), packages=["immure"],
            flags=["-isystem", BORINGSSL, f"-L/usr/lib/{libraries}", "-lssl", "-lcrypto"])

    def test_as_c(self):
        self.check("gcc", "-std=c11")

    def test_as_cxx(self):
        self.check("g++", "-x", "c++", "-std=c++17")


if __name__ == "__main__":
    harness.main()

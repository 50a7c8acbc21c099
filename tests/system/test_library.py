"""libimmure's interface: every header compiles alone, in C and in C++, and its symbols are exactly
the functions of the headers."""

import os
import re
import subprocess

import harness

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
INCLUDE = os.path.join(ROOT, "include")
LIBRARIES = os.path.join(harness.BIN, "../lib")
OF_OPENSSL = {"openssl.h"}  # its functions are in libimmure-openssl
OF_SOURCES = {  # their functions are compiled into applications; where the headers they include are
    "boringssl.h": "/usr/include/android",
    "picotls.h": os.path.join(os.environ.get("PICOTLS_ROOT") or "/nonexistent", "include"),
}
FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", INCLUDE]


def headers():
    return sorted(os.listdir(os.path.join(INCLUDE, "immure")))


def declared(names):
    """The functions that these headers declare."""
    functions = set()
    for name in names:
        with open(os.path.join(INCLUDE, "immure", name), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/|^#.*?$", "", file.read(), flags=re.S | re.M)
        for statement in text.split(";"):
            found = re.search(r"\b(immure_\w+)\(", statement)
            if found and "typedef" not in statement and "static inline" not in statement:
                functions.add(found[1])
    return functions


def defined(library, *options):
    """The global symbols of a library, without the name of their version."""
    listing = subprocess.run(["nm", "--defined-only", *options, os.path.join(LIBRARIES, library)],
                             capture_output=True, text=True, check=True, timeout=60).stdout
    return {line.split()[2].partition("@")[0] for line in listing.splitlines()
            if re.match(r"[0-9a-f]+ [TDBRVW] ", line)}


class Headers(harness.SystemTest):
    def check(self, compiler, language, without=frozenset()):
        for name in set(headers()) - without:
            theirs = OF_SOURCES.get(name, INCLUDE)
            if not os.path.isdir(theirs):
                continue
            with self.subTest(header=name):
                done = subprocess.run([compiler, *FLAGS, "-isystem", theirs, "-x", *language, "-"],
                                      input=f'#include "immure/{name}"\n', text=True,
                                      capture_output=True, check=False, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_is_c(self):
        self.check("gcc", ["c", "-std=c11"])

    @harness.needs("g++")
    def test_each_is_cxx(self):
        self.check("g++", ["c++", "-std=c++11"], without={"boringssl.h"})
        self.check("g++", ["c++", "-std=c++14"])  # what BoringSSL asks for


class Symbols(harness.SystemTest):
    def check(self, name, expected):
        self.assertIn("immure_", " ".join(expected))
        self.assertEqual(defined(f"lib{name}.so", "--dynamic"), expected)
        self.assertEqual(defined(f"lib{name}.a", "--extern-only"), expected)

    def test_of_libimmure(self):
        self.check("immure", declared(set(headers()) - OF_OPENSSL - set(OF_SOURCES)))

    def test_of_libimmure_openssl(self):
        self.check("immure-openssl", declared(OF_OPENSSL))


if __name__ == "__main__":
    harness.main()

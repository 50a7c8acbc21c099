"""The binary interface of the libraries, as it was written down in interface.txt: it changes only on
purpose. `IMMURE_BIN=... python3 tests/system/test_interface.py --write` writes it down anew.

Their symbols are those that packaging/debian/*.symbols lists, too, each with the version that brought
it. From 1.0 on a symbol is added there by hand, and none is ever taken out."""

import difflib
import os
import platform
import re
import subprocess
import sys
import tempfile
import unittest

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = os.path.join(HERE, "../../include")
KNOWN = os.path.join(HERE, "interface.txt")
LIBRARIES = ("libimmure.so", "libimmure-openssl.so")
DEBIAN = os.path.join(HERE, "../../packaging/debian")
VERSION = re.compile(r"^project\(immure VERSION (\d+)\.(\d+)\.(\d+) ", re.M)
COMPILED_IN = {"boringssl.h", "picotls.h"}  # no binary interface of ours


def symbols(library):
    """Lines of name and version."""
    listing = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--with-symbol-versions",
         os.path.join(harness.BIN, "../lib", library)],
        capture_output=True, text=True, check=True, timeout=60).stdout
    return sorted(f"{library}: {line.split()[2]}" for line in listing.splitlines()
                  if " T " in line or " D " in line)


def values():
    """Lines of what the compiler makes of the headers: sizes, offsets, constants."""
    headers = sorted(set(os.listdir(os.path.join(INCLUDE, "immure"))) - COMPILED_IN)
    source, rows = "", []
    for name in headers:
        source += f"#include <immure/{name}>\n"
        with open(os.path.join(INCLUDE, "immure", name), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        for structure, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.S | re.M):
            rows.append((f"struct {structure}", f"sizeof(struct {structure})"))
            for member in re.findall(r"(\w+)(?:\[[^;]*\])?(?:\)\([^;]*\))?(?=[;,])", body):
                rows.append((f"struct {structure}.{member}",
                             f"offsetof(struct {structure}, {member})"))
        rows += [(name, name) for name in re.findall(r"\bIMMURE_[A-Z0-9_]+(?= = |,$|$)",
                                                    "".join(re.findall(r"^enum.*?^\}", text,
                                                                       re.S | re.M)), re.M)]
        rows += [(name, name) for name in re.findall(r"^#define (IMMURE_\w+) [\d(]", text, re.M)]
    source += "#include <stdio.h>\n#include <stddef.h>\nint main(void) {\n"
    source += "".join(f'printf("{name}: %ld\\n", (long)({value}));\n' for name, value in rows)
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "values")
        subprocess.run(["gcc", "-x", "c", "-", "-I", INCLUDE, "-o", program, "-lssl", "-lcrypto",
                        "-L", os.path.join(harness.BIN, "../lib"), "-limmure-openssl", "-limmure",
                        "-Wl,--allow-shlib-undefined"],
                       input=source + "return 0; }\n", text=True, check=True, timeout=60)
        return subprocess.run([program], capture_output=True, text=True, check=True, timeout=60,
                              env={**os.environ, "LD_LIBRARY_PATH": os.path.join(harness.BIN, "../lib")}
                              ).stdout.splitlines()


def interface():
    return [line for library in LIBRARIES for line in symbols(library)] + values()


@unittest.skipIf(platform.machine() != "x86_64", "written down on x86_64")
@harness.not_sanitized("the libraries need its run time")
@harness.needs("gcc", "nm")
class Interface(harness.SystemTest):
    def test_as_written_down(self):
        with open(KNOWN, encoding="ascii") as file:
            known = file.read().splitlines()
        self.assertGreater(len(known), 100)
        difference = "\n".join(difflib.unified_diff(known, interface(), "interface.txt", "now",
                                                    lineterm="", n=0))
        self.assertEqual(difference, "", f"\n{difference}\nIf it is on purpose: {__doc__}")


def version():
    with open(os.path.join(HERE, "../../CMakeLists.txt"), encoding="utf-8") as file:
        return tuple(int(each) for each in VERSION.search(file.read()).groups())


@harness.not_sanitized("the libraries need its run time")
@harness.needs("nm", "readelf")
class Symbols(harness.SystemTest):
    def test_as_listed(self):
        major = version()[0]
        for library in LIBRARIES:
            package = f"{library.removesuffix('.so')}{major}"
            with open(os.path.join(DEBIAN, f"{package}.symbols"), encoding="ascii") as file:
                head, *rows = file.read().splitlines()
            self.assertEqual(head, f"{library}.{major} {package} #MINVER#")
            self.assertEqual(rows, sorted(rows))
            symbol, since = zip(*(row.split() for row in rows))
            self.assertEqual([f"{library}: {each.replace('@', '@@')}" for each in symbol
                              if not each.startswith("IMMURE_")], symbols(library))
            self.assertIn(f"IMMURE_{major}@IMMURE_{major}", symbol)
            for each in since:
                self.assertTrue((major, 0, 0) <= tuple(map(int, each.split("."))) <= version(), each)

    def test_soname(self):
        for library in LIBRARIES:
            dynamic = subprocess.run(
                ["readelf", "--dynamic", os.path.join(harness.BIN, "../lib", library)],
                capture_output=True, text=True, check=True, timeout=60).stdout
            self.assertIn(f"soname: [{library}.{version()[0]}]", dynamic)


if __name__ == "__main__":
    if "--write" in sys.argv:
        with open(KNOWN, "w", encoding="ascii") as out:
            out.write("\n".join(interface()) + "\n")
    else:
        harness.main()

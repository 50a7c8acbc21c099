"""The programs and libraries of a release build are hardened, by whatever name the build goes."""

import glob
import json
import os
import re
import subprocess

import hardening
import harness

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PROGRAMS = ("immured", "immure-proxy", "immure", "immure-storm")
LIBRARIES = ("libimmure.so", "libimmure-openssl.so", "ossl-modules/immure.so")


def optimized():
    """Whether the build under test is: a debug build has no lengths to check."""
    with open(os.path.join(harness.BIN, "../CMakeCache.txt"), encoding="utf-8") as cache:
        return re.search(r"^CMAKE_BUILD_TYPE:\w+=(Debug)?$", cache.read(), re.M) is None


def level(command):
    """The level of _FORTIFY_SOURCE: the last option wins."""
    found = 0
    for switch, number in re.findall(r"-([DU])_FORTIFY_SOURCE(?:=(\d))?\b", command):
        found = int(number) if switch == "D" else 0
    return found


@harness.not_sanitized("sanitizers have checks of their own")
@harness.needs("gcc", "readelf", "objdump")
class Hardening(harness.SystemTest):
    def test_what_was_built(self):
        if not optimized():
            self.skipTest("this is a debug build")
        for names, folder in ((PROGRAMS, harness.BIN), (LIBRARIES, f"{harness.BIN}/../lib")):
            for name in names:
                with self.subTest(name=name):
                    self.assertEqual(hardening.faults(os.path.join(folder, name), folder != harness.BIN), [])

    def test_the_test_sees_what_is_missing(self):
        """A plain program has only the hardening that the distribution's compiler applies by
        default."""
        program = os.path.join(self.directory, "plain")
        subprocess.run(["gcc", "-x", "c", "-", "-o", program, "-no-pie", "-O0", "-fcf-protection=none",
                        "-fno-stack-protector", "-Wl,-z,norelro,-z,lazy,-z,execstack"],
                       input="int main(void) { return 0; }", text=True, check=True, timeout=60)
        self.assertGreaterEqual(len(hardening.faults(program, False)), 8)

    @harness.needs("cmake", "ninja")
    def test_builds_of_other_names(self):
        """That of Debian's tools, which give a level of their own and optimize by flags; and one that
        does not optimize, to which glibc would answer with a warning."""
        for kind, flags, wanted in (("None", "-g -O2 -Wdate-time -D_FORTIFY_SOURCE=2", 3), ("None", "-O0", 0),
                                    ("Release", "", 3), ("Debug", "", 0)):
            with self.subTest(kind=kind, flags=flags):
                folder = os.path.join(self.directory, f"{kind}{len(flags)}")
                subprocess.run(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, "-DBUILD_TESTING=OFF",
                                f"-DCMAKE_BUILD_TYPE={kind}", f"-DCMAKE_C_FLAGS={flags}"],
                               check=True, capture_output=True, timeout=harness.LIMIT)
                with open(f"{folder}/compile_commands.json", encoding="utf-8") as file:
                    commands = {entry["file"]: entry["command"] for entry in json.load(file)}
                self.assertGreater(len(commands), len(glob.glob(f"{ROOT}/src/*/*.c")))
                self.assertEqual({file for file, command in commands.items() if level(command) != wanted},
                                 set())
                for file, command in commands.items():
                    self.assertIn("-fstack-clash-protection", command, file)
                log = subprocess.run(["ninja", "-C", folder, "base"], check=True, text=True,
                                     capture_output=True, timeout=harness.LIMIT)
                self.assertNotIn("warning", log.stdout)


if __name__ == "__main__":
    harness.main()

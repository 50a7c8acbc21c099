"""Checks how a program or library was hardened (cmake/harden.cmake), with readelf and objdump."""

import platform
import re
import subprocess

# Stack probes touch each page of a large frame before it is used; landing pads mark targets of
# jumps.
PROBE = re.compile(r"\bor[ql] +\$0x0,(0x[0-9a-f]+)?\(%rsp")
LANDING = "endbr64"


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def elf_files(paths):
    for path in paths:
        with open(path, "rb") as file:
            if file.read(4) == b"\x7fELF":
                yield path


def start_files_have_marks():
    """Whether the C library's start files have marks; if not, the linker omits the marks from all
    programs."""
    path = said("gcc", "-print-file-name=crti.o").strip()
    return "IBT" in said("readelf", "-nW", path)


def faults(path, library):
    """The missing hardening features, in words."""
    segments, dynamic = said("readelf", "-lW", path), said("readelf", "-dW", path)
    tests = {
        "position independent": re.search(r"file type is DYN", segments),
        "a program as such": library or re.search(r"FLAGS_1\).*\bPIE\b", dynamic),
        "relocations read-only": "GNU_RELRO" in segments,
        "all of them at once": re.search(r"FLAGS_1\).*\bNOW\b", dynamic),
        "no stack to run code from": re.search(r"GNU_STACK .* RW +0x", segments),
        "no relocations in code": "TEXTREL" not in dynamic,
        "lengths checked (_FORTIFY_SOURCE)": re.search(r"\w_chk\b", said("readelf", "-sW", "--dyn-syms",
                                                                         path)),
        "stacks guarded (__stack_chk_fail)": "__stack_chk_fail" in said("readelf", "-sW", "--dyn-syms",
                                                                        path),
    }
    if platform.machine() == "x86_64":
        notes, code = said("readelf", "-nW", path), said("objdump", "-d", "--no-show-raw-insn", path)
        tests.update({
            "returns marked (SHSTK)": re.search(r"x86 feature:.*\bSHSTK\b", notes),
            "jumps marked (IBT)": "IBT" in notes or not start_files_have_marks(),
            "places to jump to (endbr64)": code.count(LANDING) > 20,
            "large frames probed (stack clash)": PROBE.search(code),
        })
    return [what for what, good in tests.items() if not good]

"""Every trace point that docs/tracing.md names is in the program's file, with as many arguments."""

import glob
import os
import re
import subprocess
import unittest

import harness

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/tracing.md")
PROGRAMS = {"immure_proxy": "immure-proxy", "immured": "immured"}
HEADERS = glob.glob("/usr/include/sys/sdt.h") + glob.glob("/usr/include/*/sys/sdt.h")


def documented():
    """{provider: {probe: how many arguments}}"""
    found, provider = {}, None
    with open(DOCUMENT, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) != 3:
                continue
            name = cells[0].strip("`")
            if cells[1] == "when":
                provider = found.setdefault(name, {})
            elif cells[0].startswith("`"):
                plain = re.sub(r"\([^)]*\)+", "", cells[2])
                provider[name] = len(plain.split(","))
    return found


def noted(path):
    """{provider: {probe: how many arguments}} of the program's notes."""
    done = subprocess.run(["readelf", "-n", "--wide", path], capture_output=True, text=True, timeout=60,
                          check=True)
    found = {}
    for provider, name, arguments in re.findall(
            r"Provider: (\S+)\s+Name: (\S+)\s+.*\n\s+Arguments:(.*)", done.stdout):
        found.setdefault(provider, {})[name] = len(arguments.split())
    return found


@unittest.skipUnless(HEADERS, "not installed: systemtap-sdt-dev")
@harness.needs("readelf")
class Tracing(harness.SystemTest):
    def test_notes(self):
        expected = documented()
        self.assertEqual(set(expected), set(PROGRAMS))
        for provider, probes in expected.items():
            self.assertGreaterEqual(len(probes), 4)
            notes = noted(harness.program_path(PROGRAMS[provider]))
            self.assertEqual(notes.get(provider), probes)


if __name__ == "__main__":
    harness.main()

"""The configurations that docs/immure-proxy.md shows are good ones: immure-proxy --test takes each."""

import os
import re
import shutil
import subprocess
import unittest

import harness
from certificates import certificate

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/immure-proxy.md")
BLOCK = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
HERE = re.compile(r'"/(?:etc|var/lib)/immure/')  # the document's folders


def blocks():
    with open(DOCUMENT, encoding="utf-8") as file:
        return [re.sub("^    ", "", block, flags=re.MULTILINE).lstrip("\n") for block in BLOCK.findall(file.read())]


class DocumentConfigurations(harness.SystemTest):
    def setUp(self):
        super().setUp()
        chain = certificate("p-256")
        for name in ("www", "api", "certs/www.example.com", "certs/shop.example.com", "certs/api.example.com"):
            os.makedirs(os.path.dirname(os.path.join(self.directory, name)), exist_ok=True)
            shutil.copy(chain.chain, os.path.join(self.directory, f"{name}.crt"))
            shutil.copy(chain.key, os.path.join(self.directory, f"{name}.key"))

    def complete(self, block):
        """The block with folders, ports and backends that exist here."""
        text = HERE.sub(f'"{self.directory}/', block)
        text = text.replace('"*:443"', f'"127.0.0.1:{harness.free_port()}"')
        named = set(re.findall(r'\bbackend = "(\w+)"', text))
        return text + "".join(f'\nbackend "{name}" {{ address = "127.0.0.1:1" }}' for name in sorted(named)) + "\n"

    def test_each_is_taken(self):
        shown = [block for block in blocks() if "frontend " in block]
        self.assertGreater(len(shown), 2)
        lists = [block for block in blocks() if block.startswith("# PATH")]
        self.assertEqual(len(lists), 1)
        with open(os.path.join(self.directory, "list"), "w", encoding="utf-8") as file:
            file.write(lists[0])
        for block in shown:
            with self.subTest(block):
                path = os.path.join(self.directory, "proxy.conf")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(self.complete(block))
                done = subprocess.run([harness.program_path("immure-proxy"), "--test", "--config", path],
                                      cwd=self.directory, capture_output=True, text=True, timeout=harness.LIMIT)
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()

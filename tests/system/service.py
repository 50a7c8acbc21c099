"""immured with its supervisor, and changes of its configuration at run time."""

import json
import os
import signal

import harness
from immured import ImmuredTest


def section(name, key, more=""):
    return f'key "{name}" {{ file = "{key.file}" {more} }}\n'


class Load:
    """sign-load, with its last report."""

    def __init__(self, test, key):
        self.program = test.start_program("sign-load", test.path, key.id.hex())
        test.assertEqual(key.kind, "p-256")

    def report(self):
        lines = self.program.log().splitlines()
        return json.loads(lines[-1]) if lines else {"signed": 0, "failed": 0, "error": ""}

    def wait_for_more(self, count=20):
        """Waits for this many more signatures."""
        wanted = self.report()["signed"] + count
        harness.wait_until(lambda: self.report()["signed"] >= wanted, f"{count} more signatures")

    def stop(self):
        """Stops it and returns its last report."""
        self.program.signal(signal.SIGTERM)
        self.program.wait()
        return self.report()


class ServiceTest(ImmuredTest):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, "immured.sock")
        self.config = os.path.join(self.directory, "immured.conf")

    def configure(self, *sections, top=""):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.path}"\nthreads = 1\n{top}\n{"".join(sections)}')

    def start(self, *sections, top="", **options):
        """options are those of Program."""
        self.configure(*sections, top=top)
        self.immured = self.start_program("immured", "--config", self.config, **options)
        harness.wait_until(lambda: self.count("serves") == 1 or not self.immured.running(),
                           "immured to serve")
        self.assertTrue(self.immured.running(), self.immured.log())
        return self.immured

    def count(self, text):
        return self.immured.log().count(text)

    def reload(self, *sections, top="", said="serves"):
        """Sends HUP with this configuration, and waits until it is in force or, if `said` is given,
        refused with this text."""
        before = self.count(said)
        self.configure(*sections, top=top)
        self.immured.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.count(said) > before, said)

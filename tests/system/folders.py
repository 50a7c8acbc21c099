"""Tests of a proxy that serves the certificates of a folder."""

import os
import shutil

import backends
import clients
import harness
from certificates import certificate, der


class FolderTest(harness.SystemTest):
    NAMES = ()  # of the certificates that are there at first

    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.directory, "certs")
        os.mkdir(self.folder, 0o755)
        self.made = {name: certificate("p-256", name) for name in self.NAMES}
        for made in self.made.values():
            self.put(made)
        self.backend = self.own(backends.Backend(backends.echo))

    def path(self, name, ending=""):
        return os.path.join(self.folder, name + ending)

    def put(self, made):
        for source, ending in ((made.key, ".key"), (made.chain, ".crt")):
            shutil.copy(source, self.path(made.names[0], ending))

    def start(self, frontend="", **options):
        self.proxy = self.start_proxy([], self.backend.address,
                                      frontend=f'certificates = "{self.folder}"\n{frontend}', **options)
        self.processes = self.proxy.worker(), self.proxy.immured()
        return self.proxy

    def assert_same_processes(self):
        self.assertEqual((self.proxy.worker(), self.proxy.immured()), self.processes)

    def shown(self, name):
        with clients.connect(self.proxy.port, name=name) as connection:
            clients.echo_once(connection)
            return connection.getpeercert(binary_form=True)

    def assert_shown(self, *all_made):
        for _ in range(4):  # both threads
            for made in all_made:
                self.assertEqual(self.shown(made.names[0]), der(made))

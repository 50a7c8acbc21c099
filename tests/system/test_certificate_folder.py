"""Certificates from a folder and from a list, with an immured that has their keys."""

import json
import os
import shutil
import subprocess
import unittest

import backends
import clients
import harness

COUNT = harness.scaled(300, 60)


class CertificateFolder(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.backend = self.own(backends.Backend(backends.echo))
        self.socket = os.path.join(self.directory, "immured.sock")
        self.folder = os.path.join(self.directory, "certs")
        self.index = os.path.join(self.directory, "index")
        self.ports = harness.free_port(), harness.free_port()
        os.mkdir(self.folder)
        subprocess.run([harness.program_path("make-certificates"), self.folder, str(COUNT)],
                       check=True, timeout=harness.LIMIT)
        self.start_immured()

    def start_immured(self):
        path = os.path.join(self.directory, "immured.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'listen = "{self.socket}"\nthreads = 1\n')
            for number in range(COUNT):
                file.write(f'key "key{number}" {{ file = "{self.folder}/n{number}.example.key" }}\n')
        immured = self.start_program("immured", "--config", path)
        harness.wait_until(lambda: " serves" in immured.log(), "immured to serve")

    def start(self, directives, top=""):
        port, admin = self.ports
        config = (f'workers = 1\n{top}\nfrontend "web" {{\n listen = {{"127.0.0.1:{port}"}}\n'
                  f' backend = "echo"\n{directives}\n}}\n'
                  f'backend "echo" {{ address = "{self.backend.address}" }}\n'
                  f'admin {{ listen = "127.0.0.1:{admin}" }}\nkeys {{ socket = "{self.socket}" }}\n')
        return self.start_proxy_with(config, port, admin)

    def assert_served(self, *names):
        context = clients.ssl.create_default_context(cafile=os.path.join(self.directory, "ca.pem"))
        for name in names:
            with clients.connect(self.ports[0], context, name=name) as connection:
                clients.echo_once(connection)

    def test_each_name_has_its_certificate(self):
        proxy = self.start(f'certificates = "{self.folder}"')
        self.assert_served(*(f"n{number}.example" for number in range(0, COUNT, 7)))
        status = json.loads(proxy.get("/status.json?search=n17."))
        self.assertEqual(status["certificates_found"], 1)
        self.assertEqual(status["certificates"][0]["names"], "n17.example")
        self.assertEqual(proxy.status()["certificates_found"], COUNT)

    def test_a_bad_file_leaves_the_others_alone(self):
        with open(os.path.join(self.folder, "bad.crt"), "w", encoding="ascii") as file:
            file.write("no certificate\n")
        proxy = self.start(f'certificates = "{self.folder}"')
        self.assert_served("n0.example")
        self.assertIn(f"certificates: {self.folder}/bad.crt: not a PEM certificate chain", proxy.log())
        self.assertEqual(proxy.status()["certificates_failed"], 1)

    def test_an_index_is_taken_up(self):
        top = f'certificate-index = "{self.index}"'
        proxy = self.start(f'certificates = "{self.folder}"', top)
        harness.wait_until(lambda: os.path.exists(self.index), "the index")
        proxy.stop()
        shutil.copy(f"{self.folder}/n2.example.crt", f"{self.folder}/n1.example.crt")  # has changed
        proxy = self.start(f'certificates = "{self.folder}"', top)
        self.assert_served("n0.example", "n2.example")
        with self.assertRaises(clients.ssl.SSLCertVerificationError):
            self.assert_served("n1.example")
        self.assertNotIn("certificate-index:", proxy.log())

    def test_a_list(self):
        path = os.path.join(self.directory, "list")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# some of them\ncerts/n3.example.crt\n\ncerts/n4.example.crt n4.example other.example\n")
        self.start(f'certificate-list = "{path}"')
        self.assert_served("n3.example", "n4.example")

    def test_a_list_with_a_route(self):
        path = os.path.join(self.directory, "list")
        with open(path, "w", encoding="utf-8") as file:
            file.write("certs/n3.example.crt\ncerts/n4.example.crt route=other\n")
        self.start(f'certificate-list = "{path}"\nroute "other" {{ names = "n4.example" }}')
        self.assert_served("n3.example", "n4.example")

    def test_a_bad_line_of_a_list(self):
        path = os.path.join(self.directory, "list")
        with open(path, "w", encoding="utf-8") as file:
            file.write("certs/n3.example.crt\ncerts/absent.crt\n")
        config = os.path.join(self.directory, "list.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'frontend "web" {{ listen = {{"127.0.0.1:{self.ports[0]}"}} backend = "b"\n'
                       f'certificate-list = "{path}" }}\nbackend "b" {{ address = "127.0.0.1:1" }}\n'
                       f'keys {{ socket = "{self.socket}" }}\n')
        done = subprocess.run([harness.program_path("immure-proxy"), "--test", "--config", config],
                              capture_output=True, text=True, timeout=harness.LIMIT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{path}:2: certificate: {self.directory}/certs/absent.crt: "
                      "No such file or directory", done.stderr)


if __name__ == "__main__":
    unittest.main()

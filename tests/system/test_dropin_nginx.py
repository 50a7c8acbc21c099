"""Debian's nginx with its keys in immured, as docs/guides/nginx.md says."""

import os
import subprocess

import clients
import dropin
import dropin_servers
import harness
import proc


@harness.needs("nginx", "curl")
class Nginx(dropin_servers.HttpsServerTests, dropin.DropIn):
    GUIDE = "nginx"
    CERTIFICATE = "/etc/nginx/example.org.crt"
    USER = "www-data"
    UNKNOWN = "cannot load certificate key .*No supported data to decode"
    LOG = "/var/log/nginx/error.log"

    def set_up_server(self):
        self.units["nginx"] = dropin.Unit(self, [*dropin_servers.set_up_nginx(self), "-g", "daemon off;"],
                                          self.accepts)

    def reload(self):
        """Waits until none of the old workers accepts, which they do for a while beside the new
        ones."""
        before = set(proc.children(self.unit.program.pid))
        self.unit.reload()
        harness.wait_until(lambda: before.isdisjoint(proc.children(self.unit.program.pid)),
                           "the workers of before to end")

    def test_without_tls13(self):
        """Where ssl_protocols leaves TLS 1.3 out, as nginx 1.22 does by itself: the guide's two ways out."""
        self.server("p-256")
        config, immured = "/etc/nginx/nginx.conf", "/etc/immure/immured.conf"
        with open(self.path_of(config), encoding="utf-8") as file:
            line = next(line for line in file if line.strip().startswith("ssl_protocols"))
        self.edit(config, (line, ""))
        self.reload()
        try:
            self.exchange(clients.TLS13)
            self.edit(config, ("http {", "http { ssl_protocols TLSv1.2;"))  # a later one has it by default
            self.reload()
        except OSError:
            pass
        self.assertRaises(OSError, self.exchange, clients.TLS13)
        self.assertRaises(OSError, self.exchange, clients.TLS12)
        self.assert_logged("the key's policy does not allow it")
        self.assertIn("needs the policy tls12-server", self.units["immured"].program.log())
        self.assertNotIn('"audit":"alarm"', self.units["immured"].program.log())
        key = f'file = "{self.path_of("/etc/immure/example.org.key")}"'
        self.edit(immured, (key, f"{key} policy = tls12-server"))
        self.units["immured"].restart()
        self.exchange(clients.TLS12)

    def test_what_the_guide_leaves_out(self):
        """With the guide's three lines no client of TLS 1.2 that supports an alternative is
        refused."""
        self.server("rsa-2048")
        with open(self.path_of("/etc/nginx/nginx.conf"), encoding="utf-8") as file:
            old = next(line for line in file if line.strip().startswith("ssl_protocols"))
        with open(os.path.join(dropin.GUIDES, "nginx.md"), encoding="utf-8") as file:
            guide = file.read()
        lines = [line for line in guide.splitlines() if line.startswith("    ssl_")]
        self.edit("/etc/nginx/nginx.conf", (old, "".join(line + "\n" for line in lines)))
        self.reload()
        self.exchange(clients.TLS13)
        for options in (["-groups", "X448:P-521:P-256"], ["-cipher", "AES128-SHA:DHE-RSA-AES128-GCM-SHA256:"
                                                          "ECDHE-RSA-AES128-GCM-SHA256"]):
            output, good = clients.s_client(self.port, "-tls1_2", *options)
            self.assertTrue(good, output)

    def test_without_the_provider(self):
        """The error of an nginx that was started before openssl.cnf was changed."""
        self.server("p-256")
        done = subprocess.run(["/usr/sbin/nginx", "-t", "-c", self.path_of("/etc/nginx/nginx.conf")],
                              env={"PATH": "/usr/sbin"}, capture_output=True, text=True,
                              timeout=harness.LIMIT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, self.UNKNOWN)


if __name__ == "__main__":
    harness.main()

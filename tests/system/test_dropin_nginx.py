"""Debian's nginx with its keys in immured, as docs/guides/nginx.md says."""

import dropin
import dropin_servers
import harness


@harness.needs("nginx", "curl")
class Nginx(dropin_servers.HttpsServerTests, dropin.DropIn):
    GUIDE = "nginx"
    CERTIFICATE = "/etc/nginx/example.org.crt"
    USER = "www-data"
    LOG = "/var/log/nginx/error.log"

    def set_up_server(self):
        self.units["nginx"] = dropin.Unit(self, [*dropin_servers.set_up_nginx(self), "-g", "daemon off;"],
                                          self.accepts)

    def reload_with(self, reference):
        self.write("/etc/nginx/example.org.ref", reference)
        self.unit.reload()


if __name__ == "__main__":
    harness.main()

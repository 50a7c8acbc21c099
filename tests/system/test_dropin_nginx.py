"""Debian's nginx with its keys in immured, as docs/guides/nginx.md says."""

import dropin
import harness


@harness.needs("nginx", "curl")
class Nginx(dropin.HttpsServerTests, dropin.DropIn):
    GUIDE = "nginx"
    CERTIFICATE = "/etc/nginx/example.org.crt"
    USER = "www-data"
    LOG = "/var/log/nginx/error.log"

    def set_up_server(self):
        self.copy_etc("nginx", ("/etc/nginx/nginx.conf", "worker_processes auto", "worker_processes 2"))
        self.write("/var/log/nginx/error.log", "")
        self.units["nginx"] = dropin.Unit(self, [
            "/usr/sbin/nginx", "-c", self.path_of("/etc/nginx/nginx.conf"), "-g", "daemon off;"], self.accepts)
        self.table["nginx -t"] = f"nginx -t -c {self.path_of('/etc/nginx/nginx.conf')}"

    def reload_with(self, reference):
        self.write("/etc/nginx/example.org.ref", reference)
        self.unit.reload()


if __name__ == "__main__":
    harness.main()

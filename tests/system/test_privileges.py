"""The users of the processes, started as root and not, and what they cannot access."""

import os
import shutil
import time

import backends
import clients
import harness
import proc
from certificates import certificate

NOBODY = 65534
ANYBODY = 12345  # a uid that is nobody's


class Privileges(harness.SystemTest):
    def serve(self, uid=None, **options):
        backend = self.own(backends.Backend(backends.echo))
        port, admin_port = harness.free_port(), harness.free_port()
        own = certificate("p-256")
        if uid is not None:
            for path in (own.chain, own.key):
                copy = os.path.join(self.directory, os.path.basename(path))
                shutil.copyfile(path, copy)
                os.chmod(copy, 0o600)
                os.chown(copy, uid, uid)
            own = own._replace(chain=os.path.join(self.directory, os.path.basename(own.chain)),
                               key=os.path.join(self.directory, os.path.basename(own.key)))
        config = harness.proxy_config(port, admin_port, [own], backend.address, **options)
        proxy = self.start_proxy_with(config, port, admin_port, uid=uid)
        with clients.connect(proxy.port) as connection:
            clients.echo_once(connection)
        return proxy

    @harness.needs_root("to become somebody else")
    def test_without_root(self):
        proxy = self.serve(uid=ANYBODY)
        for pid in (proxy.pid, proxy.worker(), proxy.immured()):
            self.assertEqual(proc.uids(pid), [ANYBODY] * 4)

    @harness.needs_root("that is what is tested")
    def test_with_root(self):
        proxy = self.serve()
        worker, immured = proc.uids(proxy.worker()), proc.uids(proxy.immured())
        self.assertEqual(worker, [NOBODY] * 4)
        self.assertEqual(len(set(immured)), 1)
        self.assertNotIn(immured[0], (0, NOBODY))
        for pid in (proxy.worker(), proxy.immured()):
            self.assertEqual(int(proc.status(pid)["CapEff"], 16), 0)

    @harness.needs_root("that is what is tested")
    def test_user(self):
        self.assertEqual(proc.uids(self.serve(top='user = "12345"').worker()), [ANYBODY] * 4)

    @harness.needs_root("real time is not for everybody")
    @harness.not_sanitized("a sanitizer may have a thread of its own")
    def test_real_time(self):
        """The event loops, and nothing else."""
        proxy = self.serve(top="priority = real-time", workers=2)
        policies = {pid: sorted(os.sched_getscheduler(int(task))
                                for task in os.listdir(f"/proc/{pid}/task"))
                    for pid in (proxy.pid, proxy.worker(), proxy.immured())}
        self.assertEqual(policies[proxy.worker()].count(os.SCHED_RR), 2)
        self.assertIn(os.SCHED_OTHER, policies[proxy.worker()], "main and admin")
        self.assertNotIn(os.SCHED_RR, policies[proxy.pid] + policies[proxy.immured()])
        self.assertNotIn("priority = real-time", proxy.log())

    @harness.needs_root("real time is not for everybody")
    def test_a_loop_does_not_spin_before_its_sockets_listen(self):
        """On the master's core it would prevent the master from making them listen."""
        begun, cores = time.monotonic(), os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        self.addCleanup(os.sched_setaffinity, 0, cores)
        proxy = self.serve(top="priority = real-time", workers=1)
        turns = proxy.status()["threads"][0]["turn_buckets"][-1]
        self.assertLess(turns, 1000 + 1000 * (time.monotonic() - begun))

    @harness.needs_root("to become somebody else")
    def test_real_time_that_is_not_allowed(self):
        proxy = self.serve(uid=ANYBODY, top="priority = real-time")
        self.assertIn("priority = real-time: Operation not permitted", proxy.log())
        self.assertEqual({os.sched_getscheduler(int(task))
                          for task in os.listdir(f"/proc/{proxy.worker()}/task")}, {os.SCHED_OTHER})

    @harness.needs_root("to look at a process that is not dumpable")
    @harness.not_sanitized("its run time needs what the walls forbid")
    def test_the_walls_of_immured(self):
        immured = self.serve().immured()
        status = proc.status(immured)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2", "a filter")
        self.assertRegex(proc.read(immured, "limits"), r"Max core file size +0 +0 ")
        self.assertEqual(os.stat(f"/proc/{immured}/mem").st_uid, 0, "dumpable: its files are its own")
        self.assertNotIn("libssl", proc.read(immured, "maps"))
        self.assertEqual(proc.read(immured, "environ"), "")


if __name__ == "__main__":
    harness.main()

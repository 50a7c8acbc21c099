"""immured killed with -9, or stopped, under load: no handshake fails and no established connection
notices. How soon it is back is judged in script/endure, on an otherwise idle machine."""

import datetime
import os
import re
import shutil
import signal
import ssl
import statistics
import time

import backends
import clients
import harness
import proc
from certificates import certificate
from storm import Storm, failures

RATE = harness.scaled(500, 40)  # handshakes a second
KILLS = harness.endured(5, 20)  # at the least
# A process that dies sooner is restarted with a delay.
PAUSE = 0.6
LASTS = PAUSE * harness.endured(30, 40)  # seconds of load
BACK = 0.2  # seconds from its death until the next one is ready
LOG_LINE = re.compile(r"^(\S+) [\w-]+\[(\d+)\] \w+: (.*)$", re.MULTILINE)


def absences(log):
    """Seconds from each death of an immured until the next one was ready, by what the programs logged."""
    died, found = None, []
    for time_text, _, text in LOG_LINE.findall(log):
        at = datetime.datetime.fromisoformat(time_text.rstrip("Z"))
        if re.match(r"immured \(pid \d+\) was killed", text):
            died = at
        elif text.startswith("ready:") and died:
            found.append((at - died).total_seconds())
            died = None
    return found


class KillKeyd(harness.SystemTest):
    def start(self, kind, **options):
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate(kind)], backend.address, **options)
        self.worker = self.proxy.worker()

    def judge(self, report):
        """Nothing was lost, and only immured was restarted."""
        self.assertEqual((failures(report), report["lost"]), ({}, 0))
        self.assertGreater(report["answered"], 0)
        self.assertEqual(self.proxy.worker(), self.worker, "the worker was not to be replaced")
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="failed"), 0)
        self.assertEqual(self.proxy.metric("immure_handshakes_total", result="timeout"), 0)
        harness.wait_until(lambda: self.proxy.metric("immure_handshakes_total", result="full") >= report["full"],
                           "all handshakes to be counted")

    def test_killed_again_and_again(self):
        others = proc.busy(1.0)
        self.start("p-256")
        storm = self.own(Storm(self.proxy.port, RATE, LASTS))
        waits = []
        while storm.running():
            victim = harness.wait_until(self.proxy.immured, "an immured")
            os.kill(victim, signal.SIGKILL)
            begin = time.monotonic()
            with clients.connect(self.proxy.port) as connection:
                waits.append(time.monotonic() - begin)
                clients.echo_once(connection)
            time.sleep(PAUSE)
        self.judge(storm.finish())
        self.assertGreaterEqual(len(waits), KILLS)
        print(f"{len(waits)} kills; a handshake begun at that moment took "
              f"{statistics.median(waits) * 1e3:.0f} ms (median), {max(waits) * 1e3:.0f} ms (longest)")
        harness.wait_until(lambda: len(absences(self.proxy.log())) == len(waits), "the last one to be ready")
        if harness.LONG:
            self.judge_absences(absences(self.proxy.log()), others)

    def judge_absences(self, absent, others):
        print(f"from death to ready: {statistics.median(absent) * 1e3:.0f} ms (median), "
              f"{max(absent) * 1e3:.0f} ms (longest); {others:.0%} of the CPU time was used by others")
        self.judge_when_quiet(others)
        self.assertLess(max(absent), BACK)

    def test_started_again_without_the_files(self):
        """They are gone, or others, when it is killed: what the worker shows goes on until HUP."""
        paths = [os.path.join(self.directory, name) for name in ("site.pem", "site.key")]
        own = certificate("p-256")._replace(chain=paths[0], key=paths[1])
        for number, source in enumerate((certificate("p-256"), certificate("p-256", serial=2))):
            shutil.copy(source.chain, paths[0])
            shutil.copy(source.key, paths[1])
            if number == 0:
                backend = self.own(backends.Backend(backends.echo))
                self.proxy = self.start_proxy([own], backend.address)
            else:
                in_force = self.proxy.log().count("is in force")
                self.proxy.signal(signal.SIGHUP)
                harness.wait_until(lambda: self.proxy.log().count("is in force") > in_force,
                                   "the reload")
            for path in paths:
                os.unlink(path)
            os.kill(self.proxy.immured(), signal.SIGKILL)
            with clients.connect(self.proxy.port) as connection:
                clients.echo_once(connection)
                with open(source.chain, encoding="ascii") as file:
                    self.assertEqual(connection.getpeercert(binary_form=True),
                                     ssl.PEM_cert_to_DER_cert(file.read()))

    def test_started_again_with_the_key_overwritten(self):
        """The key is overwritten in the same file: what immured has read counts."""
        path = os.path.join(self.directory, "site.key")
        shutil.copy(certificate("p-256").key, path)
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy([certificate("p-256")._replace(key=path)], backend.address)
        os.truncate(path, 0)
        os.kill(self.proxy.immured(), signal.SIGKILL)
        with clients.connect(self.proxy.port) as connection:
            clients.echo_once(connection)
        if os.geteuid() == 0:
            held = proc.opened(self.proxy.pid)
            self.assertNotIn(path, held)
            self.assertEqual(held.count("/memfd:vault (deleted)"), 1, held)
            self.assertNotIn("memfd:vault", proc.read(self.proxy.pid, "maps"))
            held = proc.opened(self.proxy.worker())
            self.assertFalse([each for each in held if each.startswith("/memfd")], held)

    def test_stopped_for_three_seconds(self):
        self.start("rsa-2048")
        storm = self.own(Storm(self.proxy.port, RATE // 4, 6, probe_timeout=2.7))
        victim = self.proxy.immured()
        proc.stop(victim)
        try:
            time.sleep(3)
        finally:
            os.kill(victim, signal.SIGCONT)
        report = storm.finish()
        self.judge(report)
        self.assertEqual(self.proxy.immured(), victim)
        self.assertGreater(report["handshake_seconds"]["max"], 1, "it was stopped")


if __name__ == "__main__":
    harness.main()

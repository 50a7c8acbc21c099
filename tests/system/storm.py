"""immure-storm as the load of a test: handshakes at a steady rate, and established connections."""

import json
import subprocess

import harness


NOT_BEGUN = "not begun (--max-open)"  # the machine is too slow for the rate


def failures(report):
    """{kind: count} of the handshakes that were begun, and of the requests on established connections."""
    found = {**report["failures"], **report["probe_failures"]}
    found.pop(NOT_BEGUN, None)
    return found


class Storm:
    """Runs for `seconds` from now on, against an echo backend. A handshake times out after 10 s. At
    most `most` are pending at once, so that none times out because the machine is too slow for the
    rate."""

    def __init__(self, port, rate, seconds, probe_timeout=15, most=200):
        self.process = subprocess.Popen(
            [harness.program_path("immure-storm"), f"127.0.0.1:{port}", "--rate", str(rate),
             "--duration", str(seconds), "--warmup", "0", "--max-open", str(most),
             "--probes", "8", "--probe-rate", "20", "--probe-plain", "16", "--probe-timeout", str(probe_timeout), "--json", "-"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first = json.loads(self.process.stdout.readline())  # the storm has begun

    def running(self):
        return self.process.poll() is None

    def finish(self):
        """Waits for the end and returns the summary."""
        output, errors = self.process.communicate(timeout=3 * harness.LIMIT)
        if self.process.returncode != 0:
            raise AssertionError(f"immure-storm: {errors}")
        return json.loads(output.splitlines()[-1])

    def close(self):
        if self.running():
            self.process.kill()
        self.process.communicate()

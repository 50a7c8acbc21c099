"""Of the session ticket keys that immured derives, a front-end holds those of the current epoch and the
one before, and neither older ones nor the secret."""

import os
import time

import backends
import clients
import harness
import keyparts
from certificates import certificate
from ticket_keys import derived

SECRET = bytes(range(100, 140))
EPOCH = 2  # seconds
CIPHER, MAC = slice(16, 48), slice(48, 80)


@harness.needs_root("to read the memory of the programs")
@harness.not_sanitized("the sanitizer's own memory is terabytes of address space")
class TicketMemory(harness.SystemTest):
    def found(self, first, last):
        """The epochs, numbered from `first`, whose cipher or MAC key is in the worker's memory."""
        needles = {}
        for epoch in range(first, last + 1):
            key = derived(SECRET, EPOCH, epoch)
            needles.update({(epoch, "cipher"): key[CIPHER], (epoch, "mac"): key[MAC]})
        return {epoch for epoch, _ in keyparts.search(self.proxy.worker(), needles)}

    def holds_two_epochs(self, first):
        """False, too, if an epoch has just begun, or ends during the search."""
        now = int(time.time()) // EPOCH
        return self.found(first, now) == {now - 1, now}

    def search(self, signing):
        path = os.path.join(self.directory, "secret")
        with open(path, "wb") as file:
            file.write(SECRET)
        backend = self.own(backends.Backend(backends.echo))
        self.proxy = self.start_proxy(
            [certificate("p-256")], backend.address, workers=2, signing=signing,
            keys=f'threads = 1  ticket-secret-file = "{path}"  ticket-epoch = {EPOCH}s')
        first = int(time.time()) // EPOCH
        for _ in range(3):
            time.sleep(EPOCH - time.time() % EPOCH + 0.3)
            for version in (clients.TLS12, clients.TLS13):
                for _ in range(4):
                    with clients.connect(self.proxy.port, clients.context(version)) as connection:
                        clients.echo_once(connection)
        harness.wait_until(lambda: self.holds_two_epochs(first - 1), "the keys of two epochs and no others")
        for pid in (self.proxy.pid, self.proxy.worker()):
            self.assertEqual(keyparts.search(pid, {"secret": SECRET}), set())

    def test_async(self):
        self.search("async")

    def test_sync(self):
        self.search("sync")


if __name__ == "__main__":
    harness.main()

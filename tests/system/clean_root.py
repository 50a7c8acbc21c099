"""
A separate root to install packages in: the machine's, under an overlay that lasts as long as the
test; and a machine booted from it, with its own systemd.
"""

import os
import signal
import subprocess

import harness
import proc

# $1: where to mount, $2: a folder to show inside as /tmp/shared. /run outside stays as it is.
MOUNTS = """
set -eu
mount -t tmpfs -o mode=755 immure-test "$1"
mkdir "$1/upper" "$1/work" "$1/merged" "$1/shared"
mount --bind "$2" "$1/shared"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/merged"
mount -t tmpfs tmpfs /run
echo mounted
exec cat
"""
IN_ROOT = """
set -eu
mount -t proc proc "$1/merged/proc"
mount --rbind /dev "$1/merged/dev"
mount -t tmpfs tmpfs "$1/merged/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/merged/tmp"
mkdir "$1/merged/tmp/shared"
mount --bind "$1/shared" "$1/merged/tmp/shared"
"""
# An empty identity would make it a first boot, which enables every service there is; and what keeps
# packages from starting and stopping services is for images.
AS_BOOTED = """
echo 11111111111111111111111111111111 >"$1/merged/etc/machine-id"
rm -f "$1/merged/usr/sbin/policy-rc.d"
"""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


def run(command, text=""):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False,
                          timeout=120, env=ENVIRONMENT)


class Refused(Exception):
    """The reason why this machine does not permit it."""


class Overlay:
    """The mounts, in a mount namespace whose only process is the holder."""

    def __init__(self, mount_point, shared):
        self.mount_point = mount_point
        command = ["unshare", "--mount", "--propagation", "private",
                   "sh", "-c", MOUNTS, "sh", mount_point, shared]
        # pylint: disable-next=consider-using-with
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "mounted\n":
            raise Refused(self.holder.communicate()[1].strip())

    def outside(self, *command):
        """The command that runs another one in the namespace, not in the root."""
        return ["nsenter", f"--target={self.holder.pid}", "--mount", *command]

    def changed(self):
        """The paths in the root that are new, or are another file than before."""
        listing = run(self.outside("find", f"{self.mount_point}/upper", "-mindepth", "1",
                                   "-not", "-type", "c", "-printf", "/%P\\n"))
        return set(listing.stdout.splitlines())

    def stop(self):
        self.holder.communicate()


class CleanRoot(Overlay):
    """run() runs commands in the root, as root, and returns what subprocess.run() does."""

    def __init__(self, mount_point, shared):
        super().__init__(mount_point, shared)
        done = run(self.outside("sh", "-c", IN_ROOT, "sh", mount_point))
        if done.returncode != 0:
            self.stop()
            raise Refused(done.stderr.strip())

    def run(self, *command, text=""):
        return run(self.outside("chroot", f"{self.mount_point}/merged", *command), text)


class Machine(Overlay):
    """The same, in a container that systemd has booted."""

    def __init__(self, mount_point, shared):
        super().__init__(mount_point, shared)
        run(self.outside("sh", "-c", AS_BOOTED, "sh", mount_point))
        command = ["systemd-nspawn", f"--directory={mount_point}/merged", "--boot", "--quiet",
                   "--register=no", "--keep-unit", "--private-network", "--console=pipe",
                   "--machine=immure-test", "--capability=CAP_IPC_LOCK",
                   f"--bind-ro={mount_point}/shared:/tmp/shared", "systemd.unit=basic.target",
                   "systemd.mask=systemd-networkd-wait-online.service"]
        # pylint: disable-next=consider-using-with
        self.boot = subprocess.Popen(self.outside(*command), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            harness.wait_until(self.is_up, "systemd in a container", limit=60, pause=0.2)
        except AssertionError as reason:
            raise Refused(f"{reason}: {self.stop()[-500:]}") from reason

    def init(self):
        return next(iter(proc.children(self.boot.pid)), None)

    def is_up(self):
        if self.boot.poll() is not None:
            raise AssertionError("systemd-nspawn has ended")
        return self.init() and self.run("systemctl", "is-active", "basic.target").returncode == 0

    def run(self, *command, text=""):
        return run(["nsenter", f"--target={self.init()}", "--all", *command], text)

    def stop(self):
        """Returns the machine's output."""
        init = self.init()
        if init is not None:
            os.kill(init, signal.SIGKILL)
        said = self.boot.communicate(timeout=20)[0]
        super().stop()
        return said

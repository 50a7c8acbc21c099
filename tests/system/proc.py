"""What /proc tells about a process."""

import os
import signal
import time
import unittest


def read(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()


def stat(pid):
    """The fields of /proc/PID/stat after the command's name: state is 0, ppid is 1."""
    return read(pid, "stat").rsplit(")", 1)[1].split()


def alive(pid):
    try:
        return stat(pid)[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def stopped(pid):
    """Whether each of its threads is."""
    return all(stat(f"{pid}/task/{thread}")[0] == "T" for thread in os.listdir(f"/proc/{pid}/task"))


def stop(pid):
    """Stops the process. A thread on another core runs on for some time after kill() has returned."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while not stopped(pid):
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} does not stop")
        time.sleep(0.001)


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = stat(entry)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] not in "ZX":
                found.append(int(entry))
    return sorted(found)


def newborn(pid, known, called=None):
    """A child of the process that is not among these, as soon as it runs a program of its own, or
    has this title."""
    deadline, own = time.monotonic() + 60, title(pid)
    while time.monotonic() < deadline:
        for child in map(int, read(pid, f"task/{pid}/children").split()):
            name = title(child)
            if child not in known and (name == called or (called is None and name not in ("", own))):
                return child
    raise AssertionError("timed out waiting for a new child")


def program(pid):
    """The name of the program, at most 15 letters; unlike /proc/PID/exe, anybody may read it. Empty
    if it has ended."""
    try:
        return read(pid, "comm").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def started(pid):
    """Clock ticks since boot."""
    return int(stat(pid)[19])


def newest(pids):
    """The one that was started last; 0 if none is left."""
    found = []
    for pid in pids:
        try:
            found.append((started(pid), pid))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
    return max(found, default=(0, 0))[1]


def title(pid):
    """What ps shows; empty if it has ended."""
    try:
        return read(pid, "cmdline").replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        raise unittest.SkipTest("needs root: to see what a process has open that is closed to its user") from None


def opened(pid):
    """What the process has open, as /proc names it; an entry a descriptor."""
    names = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return names


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def resident(pid):
    """Resident memory in bytes."""
    return int(read(pid, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid):
    """User and system time in seconds."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Spent:
    """CPU seconds since boot: of the whole machine, and those of this process and of the descendants
    that have been waited for."""

    def __init__(self):
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, idle, iowait, *rest = [int(each) for each in file.readline().split()[1:9]]
        ticks = os.sysconf("SC_CLK_TCK")
        self.used = (user + nice + system + sum(rest)) / ticks
        self.all = self.used + (idle + iowait) / ticks
        times = os.times()
        self.own = times.user + times.system + times.children_user + times.children_system


def busy(seconds):
    """The share of all CPU time that is used in the next seconds."""
    before = Spent()
    time.sleep(seconds)
    after = Spent()
    return (after.used - before.used) / (after.all - before.all)


def others_since(before):
    """The share of all CPU time since then, a Spent, that others used: neither this process nor
    descendants that were started since then and have ended."""
    after = Spent()
    return (after.used - before.used - (after.own - before.own)) / (after.all - before.all)


def status(pid):
    """/proc/PID/status as {name: text}."""
    return {name: value.strip() for name, _, value in
            (line.partition(":") for line in read(pid, "status").splitlines())}


def uids(pid):
    """Real, effective, saved and file system uid."""
    return [int(each) for each in status(pid)["Uid"].split()]

"""The pictures for one key: which figures they show, and a paragraph for each."""

import collections

import findings
import plots
import quantiles
import servers
import words
from measure import ONE_IN

Picture = collections.namedtuple("Picture", "name title svg text")

STEPS = 16  # points of a turn curve per power of ten


def slots(names):
    """Assigns a colour to each server, the same in all pictures and reports. Further signing
    backends get the remaining ones."""
    known = (*servers.MODES, *servers.PEERS)
    more = [name for name in names if name not in known]
    return {name: (*known, *more).index(name) for name in names}


def turn_points(bounds, turns):
    """[(one in, seconds)], as far as there are enough samples."""
    points, i = [], 0
    while quantiles.stands(turns[-1], one_in := 2 * 10 ** (i / STEPS)):
        points.append((one_in, quantiles.of_buckets(bounds, turns, one_in)))
        i += 1
    return points


def turn_curve(storm, slot, name):
    own = storm.own()
    lines = [(slot[server], turn_points(own.runs[server][0]["bounds"], own.all_turns(server)), False)
             for server in own.servers]
    title = "Event-loop turns"
    mark = (findings.BUDGET + 0.001, "budget + 1 ms")
    return Picture("turns", title, plots.curves(name, title, lines, mark), words.turn_curve(storm))


def quantile_lines(storm, slot, kind):
    lines = []
    for server in storm.servers:
        rows = []
        for quantile, one_in in ONE_IN.items():
            values = storm.values(server, (kind, quantile))
            middle = quantiles.median(values)
            if middle is not None:
                rows.append((one_in, middle, min(values), max(values)))
        lines.append((slot[server], rows, True))
    return lines


def probe_curve(storm, slot, name):
    title = "Round trips of established connections"
    lines = quantile_lines(storm, slot, "probe")
    return Picture("probes", title, plots.curves(name, title, lines), words.probes(storm))


def handshake_curve(storm, slot, name):
    title = "Handshake latency"
    lines = quantile_lines(storm, slot, "handshake")
    return Picture("handshakes", title, plots.curves(name, title, lines), words.handshakes(storm))


def laid_out(runs, value):
    """[(seconds, value)] of the measured seconds, with the rounds one after another, separated by
    gaps; the start of each round; and the end of the last."""
    rows, breaks, at = [], [], 0.0
    for run in runs:
        if rows:
            rows.append((at, None))
            breaks.append(at)
        for row in run["seconds"]:
            if not row["warmup"] and row["at"] <= warmup(run) + run["summary"]["seconds"] + 0.5:
                at += 1
                rows.append((at - 0.5, value(row)))
    return rows, breaks, at


def warmup(run):
    return max((row["at"] for row in run["seconds"] if row["warmup"]), default=0.0)


def high_turn(storm):
    """The highest quantile that is known in 80 % of every server's seconds."""
    for name in ("P99.9", "P99", "P90"):
        if all(sum(row["turn"][name] is not None for row in rows) >= 0.8 * len(rows)
               for rows in ([row for run in runs for row in run["seconds"] if not row["warmup"]]
                            for runs in storm.own().runs.values())):
            return name
    return "P50"


def turn_time(storm, slot, name):
    own, high = storm.own(), high_turn(storm)
    lines, breaks, end = [], [], 1.0
    for server in own.servers:
        for quantile in dict.fromkeys(("P50", high)):
            rows, breaks, end = laid_out(own.runs[server], lambda row, q=quantile: row["turn"][q])
            lines.append((slot[server], quantile != "P50", [(at, value and value * 1e3)
                                                            for at, value in rows]))
    title = "Event-loop turns over time"
    return Picture("turns-time", title,
                   plots.over_time(name, title, lines, breaks, end, logarithmic=True),
                   words.turn_time(storm, high))


def cpu(storm, slot, name):
    columns = [(server, slot[server],
                [1e3 * (storm.median(server, part) or 0) for part in ("cpu server", "cpu immured")])
               for server in storm.servers]
    title = "CPU time of a handshake"
    return Picture("cpu", title, plots.bars(name, title, columns, "ms"), words.cpu(storm))


def cpu_time(storm, slot, name):
    def own(row):
        return 100 * sum(spent for program, spent in row["shares"].items() if program != "others")

    def others(row):
        return 100 * row["shares"]["others"]

    lines = [(None, False, laid_out(storm.runs[server], others)[0]) for server in storm.servers]
    breaks, end = [], 1.0
    for server in storm.servers:
        rows, breaks, end = laid_out(storm.runs[server], own)
        lines.append((slot[server], False, rows))
    title = "Share of the server's core over time"
    return Picture("cpu-time", title,
                   plots.over_time(name, title, lines, breaks, end, logarithmic=False, unit="%"),
                   words.cpu_time(storm))


MAKERS = turn_curve, turn_time, probe_curve, handshake_curve, cpu, cpu_time


def pictures(storm, slot):
    for number, make in enumerate(MAKERS):
        yield make(storm, slot, f"{storm.key}-{number}")

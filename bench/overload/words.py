"""Puts the figures into sentences."""

import quantiles

KEY_NAMES = {"rsa-2048": "RSA-2048", "rsa-4096": "RSA-4096", "p-256": "P-256"}
BASE = "in-process"


def duration(seconds):
    """A duration with two significant digits and a suitable unit."""
    if seconds is None:
        return "too few samples"
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            value = seconds * scale
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def share(value):
    return f"{value * 100:.0f} %"


def times(ratio):
    """A ratio in words."""
    way = "more" if ratio > 1 else "less"
    ratio = max(ratio, 1 / ratio)
    return f"{ratio:.1f} times {way}" if ratio < 10 else f"{ratio:.0f} times {way}"


def against(values, base):
    """How a figure compares with the same figure of another server."""
    found = quantiles.Comparison(values, base)
    if not found.known:
        return "cannot be compared"
    if not found.judged:
        return f"ratio {found.ratio:.2g}"
    if not found.differs:
        return "no difference"
    if 0.67 < found.ratio < 1.5:
        return f"{abs(found.ratio - 1) * 100:.0f} % {'more' if found.ratio > 1 else 'less'}"
    return times(found.ratio)


def compared(storm, figure, say=duration):
    """One clause per server: its median, compared with in-process."""
    base = storm.values(BASE, figure) if BASE in storm.servers else None
    parts = []
    for name in storm.servers:
        values = storm.values(name, figure)
        middle = quantiles.median(values)
        text = f"{name} {say(middle)}"
        if base and name != BASE and middle is not None:
            text += f" ({against(values, base)})"
        parts.append(text)
    return ", ".join(parts) + "."


def caution(storm):
    """A caution if there are too few rounds."""
    rounds = min(len(runs) for runs in storm.runs.values())
    return (" With fewer than three rounds it cannot be said whether a difference is one."
            if rounds < quantiles.ROUNDS_TO_JUDGE else "")


def highest_known(storm, kind, names=("P99.9", "P99", "P90", "P50")):
    """The highest quantile that is known for every server in every round."""
    for name in names:
        if all(None not in storm.values(server, (kind, name)) and storm.values(server, (kind, name))
               for server in storm.servers):
            return name
    return None


def quantile_paragraph(storm, kind, what):
    high = highest_known(storm, kind)
    if high is None:
        return f"{what}: too few samples to say anything."
    text = f"{what}. P50: {compared(storm, (kind, 'P50'))}"
    if high != "P50":
        text += f" {high}: {compared(storm, (kind, high))}"
    if high != "P99.9":
        text += f" Too few samples for more than {high} in every round."
    return text + caution(storm)


def turn_curve(storm):
    own = storm.own()
    text = quantile_paragraph(own, "turn", "Turns of the event loop")
    counts = ", ".join(f"{name} {sum(own.values(name, 'turn count')):,}" for name in own.servers)
    return (f"{text} Drawn from all rounds together, {counts} turns; a curve ends where fewer than "
            "ten lie beyond.")


def turn_time(storm, high):
    own = storm.own()
    parts = []
    for name in own.servers:
        worst = [row["turn"][high] for run in own.runs[name] for row in run["seconds"]
                 if "turn" in row and not row["warmup"] and row["turn"][high] is not None]
        if worst:
            parts.append(f"{name} between {duration(min(worst))} and {duration(max(worst))}")
    if not parts:
        return "Too few turns in a second to draw them over time."
    return (f"Over the seconds of the storm the {high} turn was: {', '.join(parts)}. Solid: P50; "
            f"dashed: {high}, the highest of which most seconds have ten samples beyond it.")


def cpu(storm):
    return ("User and system time of all the server's processes over completed handshakes; the work "
            f"for established connections is in it: {compared(storm, 'cpu')} The paler part is "
            f"immured's.{caution(storm)}")


def cpu_time(storm):
    parts = []
    for name in storm.servers:
        values = [row["shares"] for run in storm.runs[name] for row in run["seconds"]
                  if not row["warmup"]]
        own = quantiles.median([sum(spent for program, spent in row.items() if program != "others")
                                for row in values])
        if own is not None:
            parts.append(f"{name} {share(own)}")
    text = f"Share of the server's core, median of the seconds: {', '.join(parts)}."
    others = storm.others()
    if others is not None:
        text += (f" What else ran on the machine took up to {share(others)} of that core in a "
                 "round (thin lines: in each second)." if others >= 0.02 else
                 " Nothing else took 2 % of that core.")
    return text


def probes(storm):
    return quantile_paragraph(storm, "probe", "Round trips of established connections")


def handshakes(storm):
    return quantile_paragraph(
        storm, "handshake",
        "Handshakes, from the moment the arrival was scheduled to the client's Finished")


def failures(storm):
    parts = []
    for name in storm.servers:
        summaries = [run["summary"] for run in storm.runs[name]]
        failed = sum(each["failed"] + each["requests_failed"] for each in summaries)
        lost = sum(each["lost"] for each in summaries)
        if failed or lost:
            started = sum(each["started"] for each in summaries)
            parts.append(f"{name}: {failed:,} of {started:,} handshakes or their requests failed, "
                         f"{lost:,} probes were lost")
    if not parts:
        total = sum(run["summary"]["full"] for runs in storm.runs.values() for run in runs)
        return f"Nothing failed: {total:,} handshakes at {len(storm.servers)} servers, no probe lost."
    return "; ".join(parts) + "."

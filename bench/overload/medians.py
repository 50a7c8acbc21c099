"""The medians of in-process and async side by side, as a Markdown table for docs/performance/DATE.md."""

import quantiles
import words

FIGURES = (
    ("round trip P50", ("probe", "P50")), ("round trip P99", ("probe", "P99")),
    ("round trip P99.9", ("probe", "P99.9")),
    ("turn P50", ("turn", "P50")), ("turn P99", ("turn", "P99")), ("turn P99.9", ("turn", "P99.9")),
    ("handshake P50", ("handshake", "P50")), ("CPU of a handshake", "cpu"),
)


def say(value):
    return "too few samples" if value is None else words.duration(value)


def row(storm, name, figure):
    found = quantiles.Comparison(storm.values("async", figure), storm.values(words.BASE, figure))
    ratio = f"{found.ratio:.2f}" if found.known else ""
    if found.known and not found.differs:
        ratio += " (no difference)" if found.judged else " (too few rounds)"
    return f"| {storm.name} | {name} | {say(found.base)} | {say(found.value)} | {ratio} |"


def table(storms):
    lines = ["| storm | figure | in-process | async | ratio |", "|---|---|---|---|---|"]
    for storm in storms:
        if {"async", words.BASE} <= set(storm.servers):
            lines += [row(storm, name, figure) for name, figure in FIGURES]
    return "\n".join(lines)

"""Medians of rounds, and tables of them."""

import statistics


def median(rounds, name):
    """The median over the rounds that have the figure; None if at most half of them do."""
    values = [each[name] for each in rounds if each[name] is not None]
    return statistics.median(values) if 2 * len(values) > len(rounds) else None


def ratio(rounds, name, over="in-process"):
    """{way: ratio of its median to that of the way `over`}"""
    base = median(rounds[over], name)
    return {way: median(each, name) / base if base and median(each, name) is not None else None
            for way, each in rounds.items()}


def cell(value, form="{:.0f}", scale=1):
    return "" if value is None else form.format(value * scale)


def at_most(what, value, bound, form="{:.2f}"):
    """A goal: what, bound, measured, met; met is None if there is no value."""
    return what, f"<= {bound}", cell(value, form), None if value is None else value <= float(bound)


def print_table(head, rows):
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    line = "| " + " | ".join(f"{{:{'<' if i < 2 else '>'}{width}}}"
                             for i, width in enumerate(widths)) + " |"
    print(line.format(*head))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(line.format(*row))
    print(flush=True)

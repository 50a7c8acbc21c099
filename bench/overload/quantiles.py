"""Quantiles of event-loop turns, from the cumulative buckets of /status.json; and comparisons of
figures over several rounds."""

import bisect
import statistics

SAMPLES_BEYOND = 10  # with fewer samples beyond it, a quantile is random


def stands(count, one_in):
    """Whether `count` samples suffice for the quantile that one in `one_in` exceeds."""
    return count >= SAMPLES_BEYOND * one_in


def of_buckets(bounds, counts, one_in):
    """The time in seconds that one in `one_in` exceeds. None: too few samples, or beyond the last
    bucket. counts[i] values are at most bounds[i]; between two bounds, values are assumed to be
    evenly spread on a logarithmic scale."""
    total = counts[-1]
    if not stands(total, one_in):
        return None
    wanted = total * (1 - 1 / one_in)
    i = bisect.bisect_left(counts, wanted)
    if i == len(counts):
        return None
    if i == 0:
        return bounds[0]
    within = (wanted - counts[i - 1]) / (counts[i] - counts[i - 1])
    return bounds[i - 1] * (bounds[i] / bounds[i - 1]) ** within


def difference(after, before):
    return [a - b for a, b in zip(after, before)]


def added(rows):
    return [sum(column) for column in zip(*rows)]


def median(values):
    """None if any round lacks the figure, because the remaining rounds would be a biased
    selection."""
    return statistics.median(values) if values and None not in values else None


ROUNDS_TO_JUDGE = 3


class Comparison:
    """Compares a figure of two servers over several rounds. They differ if all rounds of one are
    above all rounds of the other. By chance alone this happens once in ten with three rounds each,
    and once in 126 with five (Wilcoxon's rank-sum test, two-sided)."""

    def __init__(self, values, base):
        self.value, self.base = median(values), median(base)
        self.known = self.value is not None and self.base is not None and \
            self.value > 0 and self.base > 0 and min(*values, *base) > 0
        self.judged = self.known and min(len(values), len(base)) >= ROUNDS_TO_JUDGE
        self.differs = self.judged and (max(values) < min(base) or max(base) < min(values))
        if self.known:
            self.ratio = self.value / self.base

"""Groups the runs into storms, one for each key, and checks immure's claims about them."""

import quantiles
import words
from measure import ONE_IN

BUDGET = 0.0002  # seconds: the default of immure-proxy's handshake-budget


def turn(run, name):
    return quantiles.of_buckets(run["bounds"], run["turns"], ONE_IN[name])


def figure(run, name):
    """A figure of a run by name; None if the run lacks it."""
    if isinstance(name, tuple):
        kind, quantile = name
        return turn(run, quantile) if kind == "turn" else run["summary"][f"{kind}_seconds"][quantile]
    if name == "turn count":
        return run["turns"][-1]
    cost = run["summary"]["cost"]
    if cost is None:
        return None
    immured = sum(spent for program, spent in cost["processes"].items()
                  if program.startswith("immured"))
    return {"cpu": cost["cpu_seconds"], "cpu immured": immured,
            "cpu server": cost["cpu_seconds"] - immured}[name] / cost["handshakes"]


class Storm:
    """All runs of one key: {server: its rounds}."""

    def __init__(self, key, runs):
        self.key = key
        self.runs = runs

    @property
    def servers(self):
        return list(self.runs)

    @property
    def name(self):
        return words.KEY_NAMES[self.key]

    def own(self):
        """Only the servers that report on their event loops."""
        return Storm(self.key, {name: runs for name, runs in self.runs.items() if "turns" in runs[0]})

    def values(self, server, name):
        return [figure(run, name) for run in self.runs[server]]

    def median(self, server, name):
        return quantiles.median(self.values(server, name))

    def others(self):
        """The largest share of the server's core that other processes used in a round."""
        return max((run["shares"]["others"] for runs in self.runs.values() for run in runs),
                   default=None)

    def all_turns(self, server):
        return quantiles.added([run["turns"] for run in self.runs[server]])


def ordered(runs):
    """Groups records into storms, keeping their order."""
    keys = dict.fromkeys(run["key"] for run in runs)
    return [Storm(key, {name: [run for run in runs if (run["key"], run["server"]) == (key, name)]
                        for name in dict.fromkeys(run["server"] for run in runs
                                                  if run["key"] == key)})
            for key in keys]


def claim(text, goal, value, met, shown, note=""):
    return {"text": text, "goal": goal, "measured": "too few samples" if value is None else shown,
            "met": None if value is None else met, "note": note}


def generator_note(storm):
    """A note if the requests themselves were sent so late that a small ratio cannot be observed."""
    late = storm.median("async", ("probe_lateness", "P99.9"))
    base = storm.median(words.BASE, ("probe", "P99.9"))
    if late is None or base is None or late < base / 10:
        return ""
    return (f"immure-storm's own requests were sent {words.duration(late)} late at P99.9, which is "
            f"{late / base:.2f} of the in-process figure: on a machine this busy 0.10 cannot be seen")


def ratio(storm, name):
    value, base = storm.median("async", name), storm.median(words.BASE, name)
    return value / base if value is not None and base else None


def overlap_note(storm, name):
    """Why the rounds show no difference, if so."""
    compared = quantiles.Comparison(storm.values("async", name), storm.values(words.BASE, name))
    if compared.differs or ratio(storm, name) is None:
        return ""
    return ("the rounds of the two modes overlap" if compared.judged else
            "too few rounds to tell a difference")


def lower(storm, name, what):
    """Claims that a figure is lower with async: in every round lower than in every in-process
    round."""
    value, note = ratio(storm, name), overlap_note(storm, name)
    return claim(f"{storm.name}: {what}, async over in-process", "below 1", value,
                 None if note else value is not None and value < 1, f"{value or 0:.2f}", note)


def claims(storms):
    """immure's claims, and whether these runs support them; met is None if it cannot be said."""
    found = []
    for storm in storms:
        if not {"async", words.BASE} <= set(storm.servers):
            continue
        if storm.key.startswith("rsa"):
            value = ratio(storm, ("probe", "P99.9"))
            found.append(claim(f"{storm.name}: P99.9 round trip of established connections, async "
                               "over in-process", "at most 0.10", value,
                               value is not None and value <= 0.1, f"{value or 0:.3f}",
                               "; ".join(filter(None, (overlap_note(storm, ("probe", "P99.9")),
                                                       generator_note(storm))))))
            found.append(lower(storm, ("turn", "P50"), "P50 turn"))
        value = storm.median("async", ("turn", "P99.9"))
        found.append(claim(f"{storm.name}: P99.9 turn with async", f"at most {words.duration(BUDGET)} "
                           "(handshake-budget) + 1 ms", value,
                           value is not None and value <= BUDGET + 0.001, words.duration(value)))
    return found


def agreements(storms):
    """Compares each run's figures with those of /metrics: (run, figure, here, there)."""
    rows = []
    for storm in storms:
        for run in (run for runs in storm.own().runs.values() for run in runs):
            summary, metrics = run["summary"], run["metrics"]
            here = summary["warmup_full"] + summary["full"] + summary["probes"]
            rows.append((run, "handshakes", here, metrics["full"]))
            rows.append((run, "worker CPU a handshake", figure(run, "cpu server"),
                         metrics["worker_cpu"]))
            rows += [(run, f"{name} turn", turn(run, name), metrics["turn"][name])
                     for name in ONE_IN if name in metrics["turn"]]
    return [row for row in rows if row[2] is not None and row[3] is not None]


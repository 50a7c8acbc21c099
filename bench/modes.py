"""Runs immure-proxy in its three signing modes under a storm: the figures of one round as numbers
(None: not enough samples), and a table row of medians."""

import math
import sys

from setting import cpu_of
from tables import cell, median, ratio

MODES = ("async", "sync", "in-process")
PROBES = 16  # established connections during the storm
HEAD = ("CPU us", "proxy", "immured", "of in-process", "handshakes/s", "probe P50 ms", "P99 ms",
        "turn P50 ms", "P99 ms", "P99.9 ms")


def alternate(rounds):
    """Yields the modes in rounds; each round starts with a different mode."""
    for number in range(rounds):
        first = number % len(MODES)
        yield from MODES[first:] + MODES[:first]


def turn_quantile(proxy, quantile):
    """In seconds, over all turns since the proxy started."""
    value = proxy.metric("immure_loop_turn_all_seconds", quantile=quantile)
    return None if math.isnan(value) else value


def storm(setting, key, mode, seconds, probe_rate, *options, saturate=False):
    """A round of full handshakes with a small GET, with concurrent probes."""
    with setting.responder() as backend, setting.proxy(key, mode, backend.port) as proxy:
        summary = setting.storm(
            f"127.0.0.1:{proxy.port}", *options, "--request", "/", "--warmup", 0.5,
            "--duration", seconds, "--cost", proxy.pid,
            "--probes", PROBES, "--probe-rate", probe_rate, saturate=saturate)
        return figures(proxy, summary)


def figures(proxy, summary):
    proxy_cpu, immured_cpu = cpu_of(summary)
    if summary["failed"] or summary["requests_failed"] or summary["lost"]:
        print(f"bench: in {proxy.config_path}: {summary['failures']} "
              f"{summary['probe_failures']}, {summary['lost']} probes lost", file=sys.stderr)
    return {
        "cpu": proxy_cpu + immured_cpu if proxy_cpu is not None else None,
        "cpu_proxy": proxy_cpu,
        "cpu_immured": immured_cpu,
        "rate": summary["full"] / summary["seconds"],
        "probe_p50": summary["probe_seconds"]["P50"],
        "probe_p99": summary["probe_seconds"]["P99"],
        "turn_p50": turn_quantile(proxy, "0.5"),
        "turn_p99": turn_quantile(proxy, "0.99"),
        "turn_p999": turn_quantile(proxy, "0.999"),
        "warnings": summary["warnings"],
    }


def row(rounds, mode):
    each = rounds[mode]
    return (cell(median(each, "cpu")), cell(median(each, "cpu_proxy")),
            cell(median(each, "cpu_immured")), cell(ratio(rounds, "cpu")[mode], "{:.2f}"),
            cell(median(each, "rate")),
            *(cell(median(each, name), "{:.3f}", 1e3)
              for name in ("probe_p50", "probe_p99", "turn_p50", "turn_p99", "turn_p999")))

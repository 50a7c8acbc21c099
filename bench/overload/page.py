"""Writes report/index.html, a self-contained file."""

import json
import os
import statistics
from html import escape

import findings
import pictures
import words

HERE = os.path.dirname(os.path.abspath(__file__))
BASE, ASYNC = words.BASE, "async"


def table(head, rows, numbers=()):
    """Cells are HTML; `numbers` are the right-aligned columns."""
    def row(cells, kind):
        mark = ' class="number"'
        return "<tr>" + "".join(f"<{kind}{mark if i in numbers else ''}>{cell}</{kind}>"
                                for i, cell in enumerate(cells)) + "</tr>"
    body = "".join(row(cells, "td") for cells in rows)
    return (f'<div class="scroll"><table><thead>{row(head, "th")}</thead>'
            f"<tbody>{body}</tbody></table></div>")


def legend(slot):
    return '<ul class="legend">' + "".join(
        f'<li><i style="background:var(--series-{number})"></i>{escape(name)}</li>'
        for name, number in slot.items()) + "</ul>"


def lead(storms):
    """The first sentences: the storm's effect on established connections."""
    parts = []
    for storm in storms:
        if not {BASE, ASYNC} <= set(storm.servers):
            continue
        quantile = words.highest_known(storm, "probe")
        if quantile is None:
            continue
        name = ("probe", quantile)
        parts.append(f"{storm.name}: one of {words_of(quantile)} round trips of established "
                     f"connections took longer than {words.duration(storm.median(BASE, name))} "
                     f"with the key in the server's own process, and longer than "
                     f"{words.duration(storm.median(ASYNC, name))} with async "
                     f"({words.against(storm.values(ASYNC, name), storm.values(BASE, name))}).")
    return "".join(f'<p class="lead">{escape(part)}</p>' for part in parts)


def words_of(quantile):
    return {"P50": "two", "P90": "ten", "P99": "a hundred", "P99.9": "a thousand"}[quantile]


def claims_table(storms):
    verdict = {True: '<span class="met">met</span>', False: '<span class="missed">missed</span>',
               None: "cannot be said"}
    return '<div class="claims">' + table(("claim", "goal", "measured", ""),
                 [(escape(each["text"]) + note(each), escape(each["goal"]), escape(each["measured"]),
                   verdict[each["met"]]) for each in findings.claims(storms)]) + "</div>"


def note(claim):
    return f'<br><span class="soft">{escape(claim["note"])}</span>' if claim["note"] else ""


def figure(picture):
    return (f'<figure class="{picture.name}"><h3>{escape(picture.title)}</h3>\n{picture.svg}\n'
            f"<figcaption><p>{escape(picture.text)}</p></figcaption></figure>")


def failure_table(storm):
    rows = []
    for name in storm.servers:
        for run in storm.runs[name]:
            summary = run["summary"]
            for kind, count in {**summary["failures"], **{f"probe: {k}": v for k, v in
                                                          summary["probe_failures"].items()}}.items():
                rows.append((name, kind, count))
    if not rows:
        return ""
    totals = {}
    for name, kind, count in rows:
        totals[name, kind] = totals.get((name, kind), 0) + count
    return table(("server", "what", "how often"),
                 [(escape(name), escape(kind), f"{count:,}") for (name, kind), count in
                  totals.items()], numbers=(2,))


def storm_section(storm, slot):
    run = next(iter(storm.runs.values()))[0]
    summary = run["summary"]
    drawn = "\n".join(figure(each) for each in pictures.pictures(storm, slot))
    return f"""<section id="{storm.key}">
<h2>A storm of {escape(storm.name)} handshakes</h2>
<p>{run['rate']:.0f} full handshakes a second, arriving at random; {summary['probes']} established
connections meanwhile, each with {summary['probe_rate']:g} requests a second; {rounds_of(storm)} of
{summary['seconds']:.0f} seconds at each server, {escape(summary['negotiated'])}.</p>
{legend({name: slot[name] for name in storm.servers})}
<div class="figures">
{drawn}
</div>
<h3 style="margin-top:1.2rem">What failed</h3>
<p>{escape(words.failures(storm))}</p>
{failure_table(storm)}
</section>"""


def rounds_of(storm):
    counts = {len(runs) for runs in storm.runs.values()}
    return f"{min(counts)} round{'' if counts == {1} else 's'}"


def generator(storms):
    """immure-storm's remarks about itself, and how busy the machine was with other work."""
    runs = [run for storm in storms for runs in storm.runs.values() for run in runs]
    late = [run["summary"]["probe_lateness_seconds"]["P99"] for run in runs]
    late = [value for value in late if value is not None]
    busiest = max((max(run["summary"]["core_shares"], default=0) for run in runs), default=0)
    others = [run["shares"]["others"] for run in runs]
    text = (f"immure-storm's own threads used at most {words.share(busiest)} of a core. "
            f"What ran beside the experiment took {words.share(statistics.median(others))} of the "
            f"server's core in the median round and {words.share(max(others))} in the worst. ")
    if late:
        text += (f"One of a hundred requests was sent {words.duration(statistics.median(late))} late "
                 f"in the median round, {words.duration(max(late))} in the worst: times near that "
                 "say as much about the machine as about the server.")
    told = {}
    for run in runs:
        for warning in run["summary"]["warnings"]:
            what = warning.split(":")[0]
            told[what] = told.get(what, 0) + 1
    notes = "".join(f"<li>in {count} of {len(runs)} runs: {escape(what)}</li>"
                    for what, count in told.items())
    return f"<p>{escape(text)}</p>" + (f"<ul>{notes}</ul>" if notes else "")


def agreement(storms):
    rows = findings.agreements(storms)
    if not rows:
        return ""
    shown = {}
    for _, what, here, there in rows:
        shown.setdefault(what, []).append(abs(here / there - 1) if there else float(here != there))
    return ("<p>Each run's figures beside what <code>/metrics</code> of the same server said at its "
            "end: the largest difference of any run.</p>" +
            table(("figure", "runs", "largest difference"),
                  [(escape(what), len(values), f"{max(values) * 100:.1f} %")
                   for what, values in shown.items()], numbers=(1, 2)))


def repeat(storms, machine):
    parts = [f"<p>All of it again: <code>{escape(machine['command'])}</code>. One run by hand: start "
             "the server with the configuration below, on the server's core, and run the command; "
             "certificates are self-signed, made by <code>openssl req -x509</code>.</p>"]
    for storm in storms:
        for name, runs in storm.runs.items():
            parts.append(f"<details><summary>{escape(storm.name)}, {escape(name)}</summary>"
                         f"<pre>{escape(runs[0]['command'])}</pre>"
                         f"<pre>{escape(runs[0]['config'])}</pre></details>")
    return "\n".join(parts)


METHOD = """<p>All servers ran on one core, with all their processes: one event loop each, and immured
with one signer thread beside it, so that every mode had the same CPU to spend. immure-storm and the
backend, which answers every request with the same few bytes, ran on the other cores. The rate is {rate},
the same for every server. Arrivals are a Poisson process, and latencies count from the scheduled moment,
so that a server that stalls is charged with all who waited. In each round every server is started
afresh and has its turn; the next round begins with another one.</p>
<p>Figures of several rounds are medians, bars at the points of a curve the lowest and highest round. A
quantile with fewer than ten samples beyond it is not drawn and not told. &ldquo;No difference&rdquo;: the
rounds of the two servers overlap. That they do not is chance once in ten with three rounds of each server,
once in 126 with five.</p>
<p>An event-loop turn is the time from the poll's return to the next poll; all turns of a server count,
from its start on. Peers are measured from outside, so they have no turns here.</p>"""


def method(machine):
    rate = (f"{machine['rate']:.0f} handshakes a second, as was asked for" if machine["rate"] else
            f"{words.share(machine['load'])} of what the server can do with the key in its own process "
            "beside the established connections, measured first in a closed loop")
    ahead = ("<p>The sessions of the servers and of the load ran ahead of what else the machine does "
             "(<code>--ahead</code>).</p>" if machine["ahead"] else "")
    return METHOD.format(rate=rate) + ahead


def data_script(storms, machine):
    """All runs, for programs."""
    runs = [run for storm in storms for runs in storm.runs.values() for run in runs]
    agreed = [{"key": run["key"], "server": run["server"], "figure": what, "here": here,
               "metrics": there} for run, what, here, there in findings.agreements(storms)]
    text = json.dumps({"machine": machine, "runs": runs, "claims": findings.claims(storms),
                       "agreement": agreed})
    return '<script type="application/json" id="data">' + text.replace("<", "\\u003c") + "</script>"


def render(storms, machine):
    with open(os.path.join(HERE, "page.css"), encoding="utf-8") as file:
        css = file.read()
    slot = pictures.slots(dict.fromkeys(name for storm in storms for name in storm.servers))
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
                    for name, text in machine["facts"].items())
    sections = "\n".join(storm_section(storm, slot) for storm in storms)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What a handshake storm does to everybody else</title>
<style>
{css}</style>
</head>
<body>
<header>
<h1>What a handshake storm does to everybody else</h1>
<p class="soft">immure-proxy in its signing modes, {escape(machine['date'])}</p>
{lead(storms)}
</header>
<section id="claims"><h2>Claims</h2>
{claims_table(storms)}
</section>
{sections}
<section id="method"><h2>How it was measured</h2>
{method(machine)}
<h3>Whether to believe it</h3>
{generator(storms)}
{agreement(storms)}
</section>
<section id="machine"><h2>The machine</h2>
<dl>{facts}</dl>
</section>
<section id="repeat"><h2>To repeat it</h2>
{repeat(storms, machine)}
</section>
{data_script(storms, machine)}
</body>
</html>
"""

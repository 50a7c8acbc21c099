"""Draws pictures with gnuplot, as SVG that takes its colours from the page that contains it."""

import math
import re
import subprocess

WIDTH, HEIGHT = 460, 300

# gnuplot's colours and the CSS custom properties that replace them. The colour of series i is (1,
# 1, i), which is used for nothing else.
INK = {(0, 0, 1): "--axis", (0, 0, 2): "--grid", (0, 0, 3): "--soft"}


def colour(rgb):
    return '"#%02x%02x%02x"' % rgb


def series_colour(slot):
    return colour((1, 1, slot))


def variable(rgb):
    return f"var({INK[rgb]})" if rgb in INK else f"var(--series-{rgb[2]})"


def recoloured(svg):
    def named(match):
        rgb = tuple(int(part) for part in match.group(2).split(","))
        known = rgb in INK or rgb[:2] == (1, 1)
        return f'{match.group(1)}="{variable(rgb)}"' if known else match.group(0)
    svg = re.sub(r"""(stroke|fill|color)\s*=\s*['"]rgb\(([\d, ]+)\)['"]""", named, svg)
    svg = re.sub(r"""fill=['"]black['"]""", 'fill="currentColor"', svg)
    return re.sub(r"""(stroke|color)=['"](black|white|gray)['"]""", r'\1="currentColor"', svg)


def without_unused(svg):
    """Removes gnuplot's definitions of point and box shapes that the picture does not use."""
    definitions = re.search(r"<defs>(.*?)</defs>", svg, re.S)
    body = svg.replace(definitions.group(0), "")
    shapes = {each.group(1): each.group(0) for each in
              re.finditer(r"<(?:circle|path|rect|use)\b[^>]*?\bid='(\w+)'[^>]*/>", definitions.group(1))}
    wanted, todo = [], re.findall(r"href='#(\w+)'", body)
    while todo:
        name = todo.pop()
        if name in shapes and name not in wanted:
            wanted.insert(0, name)
            todo += re.findall(r"href='#(\w+)'", shapes[name])
    kept = "".join(shapes[name] for name in wanted)
    return svg.replace(definitions.group(0), f"<defs>{kept}</defs>" if kept else "")


def adapted(svg, name, title):
    """Prepares a picture for a page with others: makes ids unique and removes references to the
    outside."""
    svg = re.sub(r"^.*?(?=<svg)", "", svg, flags=re.S)
    svg = re.sub(r"""<use [^>]*color=['"]white['"]/>""", "", svg)  # a white halo, wrong on a dark page
    svg = without_unused(svg)
    svg = re.sub(r"<title>.*?</desc>", "", svg, flags=re.S)
    svg = re.sub(r"""\s(?:xmlns(?::xlink)?|font-family|class)=["'][^"']*["']""", "", svg)
    svg = re.sub(r"""<svg\s+width="\d+" height="\d+"\s+viewBox="([^"]+)"\s*>""",
                 rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg, count=1)
    svg = re.sub(r"""<rect x="0" y="0" [^>]*fill="none"/>""", "", svg)
    svg = re.sub(r"xlink:href=(['\"])#", rf"href=\1#{name}-", svg)
    svg = re.sub(r"\bid=(['\"])", rf"id=\1{name}-", svg)
    empty = re.compile(r"<g[^>]*>\s*</g>")
    while empty.search(svg):
        svg = empty.sub("", svg)
    return re.sub(r"[ \t]*\n\s*", "\n", recoloured(svg)).strip()


FRAME = f"""
set terminal svg size {WIDTH},{HEIGHT} font "sans,13" linewidth 1.2
set border 3 lc rgb {colour((0, 0, 1))} lw 0.8
set tics nomirror out scale 0.6 textcolor rgb {colour((0, 0, 1))}
set mxtics default
set grid lc rgb {colour((0, 0, 2))} lt 1 lw 0.6
set xlabel textcolor rgb {colour((0, 0, 1))} offset 0,0.4
set ylabel textcolor rgb {colour((0, 0, 1))} offset 1,0
set key off
set errorbars small
"""


def draw(name, title, script):
    done = subprocess.run(["gnuplot", "-"], input=FRAME + script, capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0 or "</svg>" not in done.stdout:
        raise SystemExit(f"overload: gnuplot, {name}: {done.stderr.strip()[-500:]}")
    return adapted(done.stdout, name, title)


def block(rows):
    """Data for gnuplot; None leaves a gap."""
    return "\n".join("" if None in row else " ".join(f"{value:.6g}" for value in row)
                     for row in rows) + "\ne\n"


def plot(layers):
    """layers: (rows, the rest of gnuplot's plot command after the columns)"""
    commands = ", ".join(f"'-' {style}" for _, style in layers)
    return f"plot {commands}\n" + "".join(block(rows) for rows, _ in layers)


MS = 1e3
QUANTILE_TICS = ("P50", 2), ("P90", 10), ("P99", 100), ("P99.9", 1e3), ("P99.99", 1e4), \
    ("P99.999", 1e5), ("P99.9999", 1e6)


def time_tics(low, high):
    """Labels for a logarithmic axis of milliseconds, one per decade."""
    names = {-3: "1 µs", -2: "10 µs", -1: "100 µs", 0: "1 ms", 1: "10 ms", 2: "100 ms", 3: "1 s",
             4: "10 s", 5: "100 s"}
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last += last == first
    rows = ", ".join(f'"{names[i]}" 1e{i}' for i in range(max(first, -3), min(last, 5) + 1))
    return f"set logscale y\nset yrange [1e{first}:1e{last}]\nset ytics ({rows})\n"


def quantile_axis(largest):
    tics = [f'"{name}" {at:g}' for name, at in QUANTILE_TICS if at <= largest * 1.001]
    font = "font ',9'" if len(tics) > 5 else ""  # otherwise the last ones overlap
    return f"set logscale x\nset xrange [2:{largest:g}]\nset xtics ({', '.join(tics)}) {font}\n"


def no_data(name, title):
    return draw(name, title, 'unset border\nunset tics\nset yrange [0:1]\nset xrange [0:1]\n'
                'set label "too few samples" at 0.5,0.5 center\nplot -1\n')


def curves(name, title, lines, mark=None):
    """Percentile curves on two logarithmic axes. lines: (slot, [(one in, seconds, lowest,
    highest)], whether the points are few and drawn individually). mark: (seconds, text) of a
    horizontal line."""
    lines = [(slot, [row for row in rows if row[1]], few) for slot, rows, few in lines]
    values = [value * MS for _, rows, _ in lines for row in rows for value in row[1:] if value]
    if not values:
        return no_data(name, title)
    largest = max(1e3, *(row[0] for _, rows, _ in lines for row in rows))
    script = time_tics(min(values), max(values)) + quantile_axis(10 ** math.ceil(math.log10(largest)))
    if mark:
        at = mark[0] * MS
        script += (f"set arrow 1 from graph 0, first {at:g} to graph 1, first {at:g} nohead dt (6,4) "
                   f"lc rgb {colour((0, 0, 3))} lw 1\n"
                   f'set label 1 "{mark[1]}" at graph 0.02, first {at:g} left offset 0,0.5 '
                   f"font ',11' textcolor rgb {colour((0, 0, 3))}\n")
    layers = []
    for slot, rows, few in lines:
        ink = f"lc rgb {series_colour(slot)}"
        data = [(one_in, value * MS) for one_in, value, *_ in rows]
        layers.append((data, f"using 1:2 with lines lw 2 {ink}"))
        if few:
            layers.append(([(one_in, *(value * MS for value in rest)) for one_in, *rest in rows],
                           f"using 1:2:3:4 with yerrorbars pt 7 ps 0.5 lw 1 {ink}"))
    return draw(name, title, script + plot(layers))


def over_time(name, title, lines, breaks, end, *, logarithmic, unit=""):
    """lines: (slot, dashed, [(seconds, value)]), where slot None draws a line in a muted colour;
    breaks: where rounds begin."""
    values = [value for _, _, rows in lines for _, value in rows if value is not None]
    if not values:
        return no_data(name, title)
    script = f'set xrange [0:{end:g}]\nset xlabel "seconds of storm, the rounds one after another"\n'
    if logarithmic:
        script += time_tics(min(value for value in values if value > 0), max(values))
    else:
        script += f'set yrange [0:{max(1.0, *values) * 1.05:g}]\nset ylabel "{unit}"\n'
    for i, at in enumerate(breaks, start=1):
        script += (f"set arrow {i} from first {at:g}, graph 0 to first {at:g}, graph 1 nohead "
                   f"lc rgb {colour((0, 0, 3))} dt (2,4) lw 1\n")
    layers = [(rows, f"using 1:2 with lines lw {2 if slot is not None and not dashed else 1.2} "
                     f"{'dt (5,3) ' if dashed else ''}"
                     f"lc rgb {colour((0, 0, 3)) if slot is None else series_colour(slot)}")
              for slot, dashed, rows in lines]
    return draw(name, title, script + plot(layers))


def bars(name, title, columns, unit):
    """columns: (label, slot, [part, ...]), drawn as stacked bars."""
    highest = max((sum(parts) for _, _, parts in columns), default=0)
    if highest == 0:
        return no_data(name, title)
    tics, layers = [], []
    for at, (label, slot, parts) in enumerate(columns):
        tics.append(f'"{label}" {at}')
        low = 0.0
        for part, strength in zip(parts, (1.0, 0.5)):
            layers.append(([(at, low, at - 0.32, at + 0.32, low, low + part)],
                           f"using 1:2:3:4:5:6 with boxxyerror fs solid {strength} noborder "
                           f"lc rgb {series_colour(slot)}"))
            low += part
    return draw(name, title,
                f'set yrange [0:{highest * 1.08:g}]\nset xrange [-0.6:{len(columns) - 0.4:g}]\n'
                f'set ylabel "{unit}"\nset xtics ({", ".join(tics)}) scale 0\n'
                f"set grid noxtics ytics\n" + plot(layers))

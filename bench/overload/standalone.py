"""Each picture of the report as a file of its own, for other documents: its title, a legend, and the
colours of the page, light or dark as its reader prefers."""

import os
import re
from html import escape

import pictures

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD, CHARACTER = 62, 7.5  # height of what is above the drawing; width of a letter of the legend
STYLE = """
svg { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink); }
"""


def colours():
    """The rules of the page that name colours."""
    with open(os.path.join(HERE, "page.css"), encoding="utf-8") as file:
        css = file.read()
    light = re.search(r"^:root \{.*?^\}\n", css, re.S | re.M).group(0)
    dark = re.search(r"^@media \(prefers-color-scheme: dark\) \{.*?^\}\n", css, re.S | re.M).group(0)
    return re.sub(r"  color-scheme: [^;]*;\n", "", light) + dark


def legend(names, slot):
    parts, at = [], 14.0
    for name in names:
        parts.append(f'<rect x="{at:g}" y="43" width="18" height="4" rx="2" '
                     f'fill="var(--series-{slot[name]})"/>'
                     f'<text x="{at + 24:g}" y="49" font-size="13" fill="var(--soft)">{escape(name)}</text>')
        at += 44 + CHARACTER * len(name)
    return "".join(parts)


def render(storm, slot, picture):
    box = re.match(r'<svg viewBox="0 0 (\d+) (\d+)"[^>]*>', picture.svg)
    width, height = int(box.group(1)), int(box.group(2)) + HEAD
    title = f"{storm.name} storm: {picture.title[0].lower()}{picture.title[1:]}"
    drawing = picture.svg[box.end():picture.svg.rindex("</svg>")]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
width="{width}" height="{height}" aria-label="{escape(title)}">
<style>
{colours()}{STYLE}</style>
<text x="14" y="24" font-size="13" font-weight="600" fill="currentColor">{escape(title)}</text>
{legend(storm.servers, slot)}
<g transform="translate(0 {HEAD})">
{drawing}</g>
</svg>
"""


def write(folder, storms):
    """FOLDER/KEY-PICTURE.svg, for all of them."""
    slot = pictures.slots(dict.fromkeys(name for storm in storms for name in storm.servers))
    for storm in storms:
        for picture in pictures.pictures(storm, slot):
            path = os.path.join(folder, f"{storm.key}-{picture.name}.svg")
            with open(path, "w", encoding="utf-8") as file:
                file.write(render(storm, slot, picture))

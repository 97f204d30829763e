#!/usr/bin/env python3
"""Draw docs/parts.svg from docs/parts.yml: boxes with text, and arrows between them."""

import sys
from html import escape
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parent.parent / "docs"
FILLS = {"outside": "#f4f1ea", "service": "#dcebf7", "state": "#e3f1de"}
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
font-family="sans-serif">
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" \
markerHeight="8" orient="auto-start-reverse">
<path d="M0 0 8 4 0 8z" fill="#444"/></marker></defs>
<rect width="{width}" height="{height}" fill="white"/>
"""


def box(spec: dict[str, Any]) -> str:
    """Return a box with its title and lines."""
    (x, y), (width, height) = spec["at"], spec["size"]
    middle = x + width / 2
    parts = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8"'
        f' fill="{FILLS[spec["kind"]]}" stroke="#555"/>',
        f'<text x="{middle:g}" y="{y + 26}" text-anchor="middle" font-size="16"'
        f' font-weight="bold">{escape(spec["title"])}</text>',
    ]
    parts += [
        f'<text x="{middle:g}" y="{y + 48 + 19 * number}" text-anchor="middle" font-size="13"'
        f' fill="#333">{escape(line)}</text>'
        for number, line in enumerate(spec["lines"])
    ]
    return "\n".join(parts)


def arrow(spec: dict[str, Any]) -> str:
    """Return an arrow with its text."""
    (x1, y1), (x2, y2), (x, y) = spec["from"], spec["to"], spec["text_at"]
    start = ' marker-start="url(#head)"' if spec.get("both") else ""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#444"{start}'
        ' marker-end="url(#head)"/>\n'
        f'<text x="{x}" y="{y}" font-size="12" fill="#444" stroke="white" stroke-width="4"'
        f' paint-order="stroke">{escape(spec["text"])}</text>'
    )


def draw(text: str) -> str:
    """Return the picture that a description in YAML stands for."""
    spec = yaml.safe_load(text)
    body = [*map(box, spec["boxes"].values()), *map(arrow, spec["arrows"])]
    return HEAD.format(**spec) + "\n".join(body) + "\n</svg>\n"


def main() -> None:
    """Write the picture, or with --check fail when it is not current."""
    picture = draw((DOCS / "parts.yml").read_text())
    target = DOCS / "parts.svg"
    if "--check" not in sys.argv:
        target.write_text(picture)
    elif target.read_text() != picture:
        sys.exit("docs/parts.svg is not what docs/parts.yml describes: run `make pictures`")


if __name__ == "__main__":
    main()

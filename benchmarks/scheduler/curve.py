"""Draws what a decision costs against how much there is, as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from hwprovisioner.allocate.simulate.drawing import CHART_STYLE

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 380, 64, 48, 24, 48
_COLOURS = ("#2f7ed8", "#d9822b", "#3f9b5b", "#b0459b")
STYLE = f"""{CHART_STYLE}  .cost {{ text-anchor: end }}
  polyline {{ stroke-width: 2 }}
"""

Curve = Sequence[tuple[int, float]]
"""How many there are, and what a decision costs in µs."""


def draw(title: str, curves: Mapping[str, Curve]) -> str:
    """Return curves over logarithmic scales."""
    most = max(cost for curve in curves.values() for _, cost in curve)
    top = 10 ** math.ceil(math.log10(most))
    sizes = sorted({size for curve in curves.values() for size, _ in curve})
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
        *_grid(sizes, top),
    ]
    for place, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        points = " ".join(f"{_x(size, sizes):.1f},{_y(cost, top):.1f}" for size, cost in curve)
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        y = HEIGHT - BOTTOM - 16 * (len(curves) - place)
        lines.append(f'<text x="{LEFT + 12}" y="{y}" style="fill:{colour}">{escape(name)}</text>')
    return "\n".join([*lines, "</svg>\n"])


def _grid(sizes: Sequence[int], top: float) -> Iterator[str]:
    cost = 1.0
    while cost <= top:
        y = _y(cost, top)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="scale cost" x="{LEFT - 8}" y="{y + 4:.1f}">{cost:g} µs</text>'
        cost *= 10
    for size in sizes:
        x = _x(size, sizes)
        yield (
            f'<text class="scale" x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}"'
            f' text-anchor="middle">{size:,}</text>'
        )


def _x(size: int, sizes: Sequence[int]) -> float:
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    return LEFT + (math.log10(size) - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def _y(cost: float, top: float) -> float:
    share = math.log10(max(cost, 1.0)) / math.log10(top)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

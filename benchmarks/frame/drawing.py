"""Draws what a run has left behind (`results`), as SVG: growths, and all figures at a glance."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.frame.table import number
from hwprovisioner.allocate.simulate.drawing import CHART_STYLE

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 320, 72, 56, 24, 56
_ROW, _NAMES, _BARS = 20, 420, 360
_GOOD, _BAD, _OURS = "#3f9b5b", "#c93c3c", "#2f7ed8"
_STYLE = f"""{CHART_STYLE}  .value {{ text-anchor: end }}
  .middle {{ text-anchor: middle }}
  .theory {{ stroke: #829ab1; stroke-dasharray: 5 4; stroke-width: 1.5; fill: none }}
  .measured {{ stroke: {_OURS}; stroke-width: 2; fill: none }}
  .spread {{ stroke: {_OURS}; stroke-width: 1 }}
  .dot {{ fill: {_OURS} }}
"""

Kept = Mapping[str, Any]
"""What `results` has written of a case."""


def growth(kept: Kept) -> str:
    """Return the curve of a growth: medians with their spread, and dashed what was expected."""
    grown = kept["growth"]
    points, theory = grown["points"], grown["theory"]
    sizes = [size for size, *_ in points]
    top = max([most for *_, most in points] + [cost for _, cost in theory]) * 1.15
    places = _Places(sizes, top)
    return "\n".join(
        [
            *_page(_WIDTH, _HEIGHT, f"{grown['what']}, by {grown['of']}"),
            *_axes(places, sizes, top, grown["unit"]),
            f'<polyline class="theory" points="{places.line(theory)}"/>',
            f'<polyline class="measured" points="{places.line([p[:2] for p in points])}"/>',
            *_dots(places, points),
            f'<text class="scale" x="{_LEFT}" y="{_HEIGHT - 8}">'
            f"{escape(grown['of'])}; dashed: {escape(grown['theory_words'])}</text>",
            "</svg>\n",
        ]
    )


class _Places:
    """Where something is drawn: by how much there is on a logarithmic scale, by cost on a plain."""

    def __init__(self, sizes: Sequence[int], top: float) -> None:
        self._low, self._high = math.log10(sizes[0]), math.log10(sizes[-1])
        self._top = top

    def x(self, size: float) -> float:
        share = (math.log10(size) - self._low) / (self._high - self._low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, cost: float) -> float:
        return _HEIGHT - _BOTTOM - cost / self._top * (_HEIGHT - _TOP - _BOTTOM)

    def line(self, points: Sequence[Sequence[float]]) -> str:
        return " ".join(f"{self.x(size):.1f},{self.y(cost):.1f}" for size, cost in points)


def _page(width: int, height: int, title: str) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}">'
    )
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    yield f'<rect class="page" width="{width}" height="{height}"/>'
    yield f'<text class="title" x="16" y="26">{escape(title)}</text>'


def _axes(places: _Places, sizes: Sequence[int], top: float, unit: str) -> Iterator[str]:
    step = _step(top / 4)
    for place in range(int(top / step) + 1):
        y = places.y(place * step)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        label = f"{number(place * step)} {escape(unit)}"
        yield f'<text class="scale value" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>'
    for size in sizes:
        x, y = places.x(size), _HEIGHT - _BOTTOM + 18
        yield f'<text class="scale middle" x="{x:.1f}" y="{y}">{size:,}</text>'


def _step(least: float) -> float:
    """Return a round number, at least as large."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def _dots(places: _Places, points: Sequence[Sequence[float]]) -> Iterator[str]:
    for size, cost, least, most in points:
        x, low, high = places.x(size), places.y(least), places.y(most)
        yield f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        yield f'<circle class="dot" cx="{x:.1f}" cy="{places.y(cost):.1f}" r="3.5"/>'


def glance(figures: Sequence[Kept]) -> str:
    """Return a bar for each figure of which something is wanted, on a logarithmic scale.

    The line in the middle is what is wanted; to its right is better than that.
    """
    wanted = [(each, better) for each in figures if (better := margin(each)) is not None]
    height = _TOP + _ROW * len(wanted) + 36
    middle = _NAMES + _BARS // 2
    lines = [*_page(_NAMES + _BARS + 90, height, "How far from what is wanted")]
    for place, (figure, better) in enumerate(wanted):
        y = _TOP + _ROW * place
        length = max(-1.0, min(1.0, math.log10(max(better, 0.1)))) * _BARS / 2
        colour = _GOOD if figure["verdict"] == "reached" else _BAD
        lines += [
            f'<text class="value" x="{_NAMES - 12}" y="{y + 13}">{escape(figure["name"])}</text>',
            f'<rect x="{min(middle, middle + length):.1f}" y="{y + 3}"'
            f' width="{max(1.0, abs(length)):.1f}" height="{_ROW - 7}" fill="{colour}"/>',
            f'<text class="scale" x="{_NAMES + _BARS + 8}" y="{y + 13}">'
            f"{number(figure['value'])} {escape(figure['unit'])}</text>",
        ]
    bottom = height - 30
    for times, words in ((-1, "10 x worse"), (0, "wanted"), (1, "10 x better")):
        x = middle + times * _BARS / 2
        lines.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{bottom}"/>')
        lines.append(f'<text class="scale middle" x="{x}" y="{bottom + 16}">{words}</text>')
    return "\n".join([*lines, "</svg>\n"])


def margin(figure: Kept) -> float | None:
    """Return by which factor a figure is better than what is wanted; None if it was not judged."""
    if figure["verdict"] not in ("reached", "FALLS SHORT"):
        return None
    if figure["at_most"] is not None:
        return float(figure["at_most"] / figure["value"]) if figure["value"] else math.inf
    return float(figure["value"] / figure["at_least"])

"""Draws a day: how much was in use, who waited how long, and what is judged. SVG by hand."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape

from hwprovisioner.allocate.simulate.judging import Verdict
from hwprovisioner.allocate.simulate.report import judgements, shown
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.trace import Run, Trace

WIDTH, LEFT, RIGHT = 1000, 74, 20
USE_H, WAIT_H, GAP, LINE_H = 170, 340, 46, 19
BINS = 300
"""Columns of the use."""
_WAITS_MS = (60_000, 600_000, 3_600_000, 6 * 3_600_000, 24 * 3_600_000)
_LEAST_MS = 10_000
"""Shorter waits are drawn as that: they stand on the ground."""
_COLOURS = ("#2f7ed8", "#d9822b", "#3f9b5b", "#b0459b", "#8c6d31", "#c93c3c", "#5b6bbf", "#4aa3a3")
# Without custom properties, which not every program that shows pictures knows.
CHART_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2933 }
  .title { font-size: 15px; font-weight: 600 }
  .scale { font-size: 11px; fill: #829ab1 }
  .page { fill: #ffffff }
  .grid { stroke: #d9e2ec; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb }
    .scale { fill: #9fb3c8 }
    .page { fill: #11181f }
    .grid { stroke: #334e68 }
  }
"""
STYLE = f"""{CHART_STYLE}  .verdict {{ font: 12px ui-monospace, monospace; white-space: pre }}
"""


def draw(scenario: Scenario, trace: Trace, verdict: Verdict) -> str:
    """Return the whole picture as SVG."""
    users = sorted({stream.user for stream in scenario.streams})
    colours = {user: _COLOURS[place % len(_COLOURS)] for place, user in enumerate(users)}
    lines = list(judgements(verdict))
    use_top = 58
    wait_top = use_top + USE_H + GAP
    text_top = wait_top + WAIT_H + GAP
    height = text_top + len(lines) * LINE_H + 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}">',
            "<title>A simulated day: use, waits and judgements</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}"/>',
            *_legend(colours),
            *_use(scenario, trace, colours, use_top),
            *_waits(scenario, trace, colours, wait_top),
            *_hours(scenario, use_top, wait_top + WAIT_H),
            *(
                _text(LEFT, text_top + number * LINE_H, line, "verdict")
                for number, line in enumerate(lines)
            ),
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text{kind} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(colours: Mapping[str, str]) -> Iterator[str]:
    x = LEFT
    for user, colour in colours.items():
        yield f'<circle cx="{x}" cy="18" r="5" fill="{colour}"/>'
        yield _text(x + 10, 22, user or '""')
        x += 34 + 7 * max(2, len(user))
    yield _text(x, 22, "square: a set; ring: still waiting at the end", "scale")


def _x(ms: float, scenario: Scenario) -> float:
    return LEFT + ms / scenario.duration_ms * (WIDTH - LEFT - RIGHT)


def _hours(scenario: Scenario, top: int, bottom: int) -> Iterator[str]:
    hours = scenario.duration_ms / 3_600_000
    step = next((s for s in (0.25, 0.5, 1, 2, 3, 6, 12, 24) if hours / s <= 12), 48)
    for number in range(int(hours / step) + 1):
        x = _x(number * step * 3_600_000, scenario)
        yield f'<line class="grid" x1="{x:g}" y1="{top}" x2="{x:g}" y2="{bottom}"/>'
        hour, minute = divmod(round(number * step * 60), 60)
        yield _text(x, bottom + 16, f"{hour:02}:{minute:02}", "scale", "middle")


def _use(scenario: Scenario, trace: Trace, colours: Mapping[str, str], top: int) -> Iterator[str]:
    """Draw what was in use by whom, one user on the other."""
    yield _text(LEFT, top - 8, "in use, of all resources", "title")
    there = len(scenario.machines)
    for share in (0, 0.5, 1):
        y = top + USE_H * (1 - share)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:g}" x2="{WIDTH - RIGHT}" y2="{y:g}"/>'
        yield _text(LEFT - 6, y + 4, f"{share:.0%}", "scale", "end")
    ground = [0.0] * BINS
    for user, used in _bins(scenario, trace, colours).items():
        roof = [low + more / there for low, more in zip(ground, used, strict=True)]
        yield f'<path d="{_area(scenario, ground, roof, top)}" fill="{colours[user]}"/>'
        ground = roof


def _bins(scenario: Scenario, trace: Trace, colours: Mapping[str, str]) -> dict[str, list[float]]:
    """Return by user how many machines were in use in each column."""
    found = {user: [0.0] * BINS for user in colours}
    length = scenario.duration_ms / BINS
    for run in trace.runs.values():
        for host in run.hosts:
            start, end = run.start_ms or 0, min(host.freed_ms, scenario.duration_ms)
            for column in range(int(start / length), min(BINS - 1, int(end / length)) + 1):
                span = min(end, (column + 1) * length) - max(start, column * length)
                found[run.job.stream.user][column] += max(0.0, span) / length * host.part
    return found


def _area(scenario: Scenario, ground: list[float], roof: list[float], top: int) -> str:
    length = scenario.duration_ms / BINS

    def edge(heights: list[float]) -> list[str]:
        return [
            f"{_x((column + side) * length, scenario):.1f},{top + USE_H * (1 - height):.1f}"
            for column, height in enumerate(heights)
            for side in (0, 1)
        ]

    return "M" + " ".join([*edge(roof), *reversed(edge(ground))]) + "Z"


def _waits(scenario: Scenario, trace: Trace, colours: Mapping[str, str], top: int) -> Iterator[str]:
    """Draw one mark for each request, when it came and how long it waited."""
    yield _text(LEFT, top - 8, "waited, by the time at which the request came", "title")
    longest = max((r.waited_ms(scenario.duration_ms) for r in trace.runs.values()), default=0)
    most = max(_WAITS_MS[1], longest)
    for ms in (_LEAST_MS, *_WAITS_MS):
        if ms <= most:
            y = _y(ms, most, top)
            yield f'<line class="grid" x1="{LEFT}" y1="{y:g}" x2="{WIDTH - RIGHT}" y2="{y:g}"/>'
            label = "at once" if ms == _LEAST_MS else shown(ms)
            yield _text(LEFT - 6, y + 4, label, "scale", "end")
    for colour, marks in _marks(scenario, trace, colours, most, top).items():
        yield f'<g fill="{colour}" stroke="{colour}" fill-opacity="0.55" stroke-width="1">'
        yield from marks
        yield "</g>"


def _y(wait_ms: int, most_ms: int, top: int) -> float:
    scale = math.log(most_ms / _LEAST_MS)
    return top + WAIT_H - math.log(max(wait_ms, _LEAST_MS) / _LEAST_MS) / scale * WAIT_H


def _marks(
    scenario: Scenario, trace: Trace, colours: Mapping[str, str], most_ms: int, top: int
) -> dict[str, dict[str, None]]:
    """Return the marks by colour; what falls on the same spot is drawn once."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for run in trace.runs.values():
        x = round(_x(run.job.submit_ms, scenario))
        y = round(_y(run.waited_ms(scenario.duration_ms), most_ms, top))
        found[colours[run.job.stream.user]][_mark(run, x, y)] = None
    return found


def _mark(run: Run, x: int, y: int) -> str:
    ring = ' fill="none" stroke-width="1.5"' if run.start_ms is None else ""
    if run.job.hosts > 1:
        return f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8"{ring}/>'
    return f'<circle cx="{x}" cy="{y}" r="2"{ring}/>'

"""Draw docs/states.svg from the state tables, or say that it is not what they give now.

python tools/draw_states.py           writes
python tools/draw_states.py --check   compares; exits 1 on a difference

Each machine is a row of boxes in the order of its table. Moves ahead are arcs above the row, moves
back are arcs below it, repetitions that change nothing are listed in the box. The higher an arc,
the farther it goes, so that none crosses a label of a shorter one.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Any

from hwprovisioner.state.tables import TABLES

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "states.svg"

BOX_W, BOX_H, STEP = 132, 44, 216
LEFT, TITLE_H, ROW_H, BASE = 24, 34, 40, 26
"""Px: margin, room of a title, height of one level of arcs, rise of the lowest."""
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2933; text-anchor: middle }
  .machine { font-size: 16px; font-weight: 600; text-anchor: start }
  .event { font-size: 12px; fill: #334e68; paint-order: stroke; stroke: #ffffff; stroke-width: 3px }
  .same { font-size: 11px; fill: #627d98 }
  rect { fill: #f0f4f8; stroke: #486581; stroke-width: 1.5 }
  .end { fill: #d9e2ec; stroke-dasharray: 5 3 }
  path { fill: none; stroke: #486581; stroke-width: 1.4; marker-end: url(#tip) }
  .page { fill: #ffffff; stroke: none }
"""

Table = Mapping[Any, Mapping[Any, StrEnum]]


def moves(table: Table) -> dict[tuple[int, int], list[str]]:
    """Return the events that lead from one place in a row to another."""
    place = {state: i for i, state in enumerate(table)}
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    for state, row in table.items():
        for event, target in row.items():
            found[place[state], place[target]].append(str(event))
    return found


def height(arcs: Mapping[tuple[int, int], list[str]], *, ahead: bool) -> int:
    """Return the room that arcs need above or below a row, in px."""
    spans = [abs(b - a) for a, b in arcs if a != b and (b > a) is ahead]
    # The arcs reach three quarters of that; labels stand on them.
    return round(0.75 * (BASE + ROW_H * (max(spans) - 1))) + 18 if spans else 12


def arc(start: int, end: int, events: list[str], top: int) -> Iterator[str]:
    """Draw one move; `top` is the upper edge of the boxes."""
    ahead = end > start
    side = 1 if ahead else -1
    edge = top if ahead else top + BOX_H
    peak = edge - side * (BASE + ROW_H * (abs(end - start) - 1))
    from_x = LEFT + start * STEP + BOX_W / 2 + side * 22
    to_x = LEFT + end * STEP + BOX_W / 2 - side * 22
    bend = side * 30
    yield (
        f'<path d="M {from_x:g} {edge} C {from_x + bend:g} {peak}, {to_x - bend:g} {peak},'
        f' {to_x:g} {edge}"/>'
    )
    # A cubic arc reaches three quarters of the way to its control points.
    label_y = edge + (peak - edge) * 0.75 + (-5 if ahead else 14)
    label = escape(", ".join(events))
    yield f'<text class="event" x="{(from_x + to_x) / 2:g}" y="{label_y:g}">{label}</text>'


def machine(name: str, table: Table, top: int) -> Iterator[str]:
    """Draw one machine whose boxes begin at `top`."""
    arcs = moves(table)
    for i, (state, row) in enumerate(table.items()):
        x = LEFT + i * STEP
        same = ", ".join(arcs.get((i, i), []))
        kind = "" if row else ' class="end"'
        yield f'<rect{kind} x="{x}" y="{top}" width="{BOX_W}" height="{BOX_H}" rx="7"/>'
        middle = x + BOX_W / 2
        y = top + (19 if same else 27)
        yield f'<text x="{middle:g}" y="{y}">{escape(state)}</text>'
        if same:
            yield f'<text class="same" x="{middle:g}" y="{top + 35}">= {escape(same)}</text>'
    for (start, end), events in arcs.items():
        if start != end:
            yield from arc(start, end, events, top)


def picture() -> str:
    """Return the whole picture as SVG."""
    drawn: list[str] = []
    y = 12
    for name, table in TABLES.items():
        arcs = moves(table)
        drawn.append(f'<text class="machine" x="{LEFT}" y="{y + 18}">{escape(name)}</text>')
        y += TITLE_H + height(arcs, ahead=True)
        drawn += machine(name, table, y)
        y += BOX_H + height(arcs, ahead=False) + 8
    width = 2 * LEFT + STEP * (max(map(len, TABLES.values())) - 1) + BOX_W
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}"'
            f' height="{y}">',
            "<!-- Made by tools/draw_states.py from state/hwprovisioner/state/tables.py. -->",
            "<title>The state machines of a lab</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
            ' markerHeight="7" orient="auto"><polygon points="0,0 10,5 0,10" fill="#486581"/>'
            "</marker></defs>",
            f'<rect class="page" width="{width}" height="{y}"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def main() -> None:
    """Write or check the picture, as the command line says."""
    parser = argparse.ArgumentParser(description="Draw the state tables.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    drawn = picture()
    if not check:
        PICTURE.write_text(drawn, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != drawn:
        sys.exit("docs/states.svg is not what the tables give: run python tools/draw_states.py")


if __name__ == "__main__":
    main()

"""Columns as kubectl writes them: two spaces between, upper-case heads, never cut in a pipe."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Sequence

from hwprovisioner.client.printable import printable

_GAP = "  "


def lines(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Lays out a table.

    Args:
        heads: Of the columns.
        rows: As many cells as there are heads. Empty ones are shown as `-`.
        width: Lines are cut to so many characters; None cuts nothing.
    """
    table = [list(heads), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(_width(cell) for cell in column) for column in zip(*table, strict=True)]
    laid_out = [
        _GAP.join(
            cell + " " * (wide - _width(cell)) for cell, wide in zip(row, widths, strict=True)
        )
        for row in table
    ]
    return [_cut(line.rstrip(), width) for line in laid_out]


def terminal_width() -> int | None:
    """Gives the width of the terminal that stdout is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _cell(cell: str) -> str:
    return printable(cell).strip() or "-"


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _cut(line: str, width: int | None) -> str:
    return line if width is None or len(line) <= width else line[: width - 1] + "…"

"""The checker: histories in, broken promises out. Pure: it reads nothing and starts nothing."""

from collections.abc import Sequence

from chaos.broken import Broken
from chaos.calls import calls_in
from chaos.check_calls import check_calls
from chaos.check_end import check_end
from chaos.check_endings import check_endings
from chaos.check_hardware import check_hardware
from chaos.check_leases import Lateness, check_leases
from chaos.check_log import check_log
from chaos.check_turns import check_turns
from chaos.check_twins import check_twins
from chaos.history import Line
from chaos.story import story_of


def check(lines: Sequence[Line], lateness: Lateness | None = None) -> list[Broken]:
    """Return every promise that a history shows to be broken.

    Args:
        lines: everybody's, in the order in which things happened.
        lateness: is told how late leases ended.
    """
    story, calls = story_of(lines), calls_in(lines)
    late = Lateness() if lateness is None else lateness
    return [
        *check_log(lines, story),
        *check_hardware(lines, story),
        *check_calls(lines, calls, story),
        *check_endings(lines, story),
        *check_leases(lines, calls, story, late),
        *check_turns(lines, calls, story),
        *check_twins(lines),
        *check_end(lines, story),
    ]

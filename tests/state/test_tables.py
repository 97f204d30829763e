"""The tables themselves, their Lua form and their picture."""

import subprocess
import sys
from enum import StrEnum
from pathlib import Path

import pytest

from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import (
    TABLES,
    Admin,
    AdminEvent,
    AllocationEvent,
    AllocationState,
    Health,
    HealthEvent,
    HoldEvent,
    HoldState,
    Presence,
    PresenceEvent,
    as_lua,
)

TOP = Path(__file__).parents[2]

MACHINES: dict[str, tuple[type[StrEnum], type[StrEnum]]] = {
    "allocation": (AllocationState, AllocationEvent),
    "hold": (HoldState, HoldEvent),
    "presence": (Presence, PresenceEvent),
    "health": (Health, HealthEvent),
    "admin": (Admin, AdminEvent),
}
ENDS = {
    "allocation": {"ENDED"},
    "hold": {"GONE"},
    "presence": set(),
    "health": set(),
    "admin": set(),
}


def test_every_machine_is_tested_here() -> None:
    assert TABLES.keys() == MACHINES.keys()


@pytest.mark.parametrize("machine", MACHINES)
def test_a_table_lists_every_state_and_uses_every_event(machine: str) -> None:
    states, events = MACHINES[machine]
    table = TABLES[machine]
    assert list(table) == list(states)
    assert {event for row in table.values() for event in row} == set(events)
    assert {target for row in table.values() for target in row.values()} <= set(states)


@pytest.mark.parametrize("machine", MACHINES)
def test_ends_are_empty_rows_and_nothing_else_is(machine: str) -> None:
    assert {str(state) for state, row in TABLES[machine].items() if not row} == ENDS[machine]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_can_be_reached_from_the_first(machine: str) -> None:
    table = TABLES[machine]
    reached, fresh = set[StrEnum](), {next(iter(table))}
    while fresh:
        reached |= fresh
        fresh = {target for state in fresh for target in table[state].values()} - reached
    assert reached == set(table)


async def test_scripts_get_exactly_these_tables(redis_url: str) -> None:
    walk = """
    local found = {}
    for machine, states in pairs(TABLES) do
      for state, row in pairs(states) do
        found[#found + 1] = machine .. ' ' .. state
        for event, target in pairs(row) do
          found[#found + 1] = table.concat({machine, state, event, target}, ' ')
        end
      end
    end
    return found
    """
    async with Link(redis_url) as link:
        found = await link.call("EVAL", as_lua() + walk, 0)
    states = [f"{name} {state}" for name, table in TABLES.items() for state in table]
    moves = [
        f"{name} {state} {event} {target}"
        for name, table in TABLES.items()
        for state, row in table.items()
        for event, target in row.items()
    ]
    assert sorted(found) == sorted(states + moves)


def test_the_picture_in_the_docs_shows_these_tables() -> None:
    draw = [sys.executable, str(TOP / "tools" / "draw_states.py")]
    check = subprocess.run([*draw, "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stderr
    picture = (TOP / "docs" / "states.svg").read_text(encoding="utf-8")
    for states, _ in MACHINES.values():
        assert all(f">{state}<" in picture for state in states)

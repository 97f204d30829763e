"""Runs of chaos that are short enough for every day; `make chaos` has longer ones."""

from pathlib import Path

import pytest

from chaos.faults import kinds_of
from chaos.figures import figures
from chaos.lab import Size
from chaos.plan import planned
from chaos.run import run

SECONDS = 10.0
#: Other tests have the machine as well, and no test asserts times: `make chaos` does.
LATEST_MS = 3000.0
SIZE = Size(managers=2, clients=1, ghosts=1)
SPANS = {"cut": (0.0, 1.0), "kill": (1.0, 2.0), "pause": (0.0, 0.1)}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", [11, 12])
async def test_every_promise_is_kept_under_faults(tmp_path: Path, seed: int) -> None:
    kinds = kinds_of(seed)
    result = await run(tmp_path, seed, SECONDS, size=SIZE, kinds=kinds, latest_ms=LATEST_MS)
    said = figures(result.lines, result.broken, result.lateness)
    assert not result.broken, "\n".join([f"seed {seed}", *said, *map(str, result.broken[:5])])
    assert any(line.kind == "ready" for line in result.lines), said
    assert any(line.kind == "fault" for line in result.lines), said


def test_a_seed_decides_which_faults_come_when() -> None:
    assert list(planned(1, 60, SPANS)) == list(planned(1, 60, SPANS))
    assert list(planned(1, 60, SPANS)) != list(planned(2, 60, SPANS))


def test_each_kind_of_fault_comes_once_before_any_comes_twice() -> None:
    kinds = [fault.kind for fault in planned(1, 60, SPANS)]
    assert {frozenset(kinds[i : i + 3]) for i in range(0, len(kinds) - 2, 3)} == {frozenset(SPANS)}

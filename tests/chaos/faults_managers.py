"""What can happen to managers besides their death."""

from collections.abc import Iterable

from chaos.fault import REDIS, Fault, managers
from chaos.lab import Lab, journal_of
from support.eventually import eventually

#: With this a manager ends that a newer one of the same id has taken the place of.
SUPERSEDED = 3
#: One of two ends within so long; a stream that was cut has to be made again first.
ONE_IS_LEFT_S = 90.0


async def _kill_and_lose_journal(lab: Lab, name: str) -> None:
    await lab.managers[name].kill()
    journal_of(lab, name).unlink(missing_ok=True)


async def _kill_and_change_inventory(lab: Lab, name: str) -> None:
    await lab.managers[name].kill()
    lab.change_inventory(name)


async def _start(lab: Lab, name: str) -> None:
    await lab.managers[name].start()
    await lab.managers[name].serves()


async def _start_twin(lab: Lab, name: str) -> None:
    """Start it once more, as on another machine, without its journal."""
    twin = lab.twin_of(name)
    lab.twins[name] = twin
    await twin.start()


async def _one_is_left(lab: Lab, name: str) -> None:
    """Wait until one has been told that the other is newer; that one goes on."""
    both = (lab.managers[name], lab.twins.pop(name))

    def superseded() -> bool:
        return any(process.exit_status is not None for process in both)

    await eventually(superseded, within=ONE_IS_LEFT_S)
    older, newer = sorted(both, key=lambda process: process.exit_status is None)
    assert older.exit_status == SUPERSEDED, f"{name} ended with {older.exit_status}"
    lab.history.write("superseded", manager=name, older=older.pid, newer=newer.pid)
    await older.kill()
    lab.managers[name] = newer
    await newer.serves()


def _all_that_tells(lab: Lab, name: str) -> Iterable[str]:
    """Name what the two need to be told who is the newer one: else they take turns."""
    ways = (way for way in lab.proxies if way.startswith((f"{name}>", *lab.allocates)))
    return (name, REDIS, *lab.allocates, *ways)


OF_MANAGERS: dict[str, Fault] = {
    "lose-journal": Fault(managers, _kill_and_lose_journal, _start, (0.1, 1.5), forgets=True),
    # What was used of a board that is gone only its manager may know, until the lab has been told.
    "change-inventory": Fault(
        managers, _kill_and_change_inventory, _start, (0.1, 1.5), forgets=True
    ),
    "twin-manager": Fault(
        *(managers, _start_twin, _one_is_left, (0.1, 1.5)), forgets=True, touches=_all_that_tells
    ),
}

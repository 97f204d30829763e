"""What is left when the faults are over: everything has to end, and nothing may be left behind."""

import asyncio
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.broken import Broken
from chaos.lab import Lab
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import AllocationState, Presence
from support.eventually import eventually
from support.lab_dump import Dump
from support.lab_promises import Records, check_promises
from support.state_lab import StateLab

#: The longest lease is 3 s; a manager that was away is LOST after 10 s.
SETTLE_LIMIT_S = 90.0
CLIENTS_LIMIT_S = 90.0
_INTERVAL_S = 0.1
_SHOWN = 3000
_TRACES = ("Traceback (most recent call last)", "Task exception was never retrieved")


async def boards_are_free(lab: Lab, within_s: float) -> None:
    """Wait until everything can be lent.

    Raises:
        TimeoutError: Something cannot, and what.
    """
    await _until(lab, _first_unfree, within_s)


async def settle(lab: Lab) -> list[Broken]:
    """Have the clients end; return what does not end, and what is left where nothing should be."""
    lab.put_all_boards_back()
    stopped = await asyncio.gather(
        *(client.stop(CLIENTS_LIMIT_S) for client in lab.clients.values())
    )
    broken = [
        Broken.by(11, f"{name} was not told in time what became of its requests")
        for name, is_stopped in zip(lab.clients, stopped, strict=True)
        if not is_stopped
    ]
    try:
        dump = await _until(lab, _first_left, SETTLE_LIMIT_S)
        check_promises(dump, {})
    except TimeoutError as error:
        broken.append(Broken.by(3, f"{SETTLE_LIMIT_S:g} s after the last fault {error}"))
    except AssertionError as error:
        where = "".join(traceback.format_exception(error)[-3:])
        broken.append(Broken.by(10, f"records and indexes differ:\n{where}"))
    else:
        await _write_records(lab, dump)
    return broken


async def stop(lab: Lab) -> list[Broken]:
    """End every service; return what their logs and their ends say."""
    names = [*lab.managers, *lab.services]
    statuses = {name: lab.processes[name].exit_status for name in names}
    stopped = await asyncio.gather(*(lab.processes[name].stop() for name in names))
    slow = [name for name, is_stopped in zip(names, stopped, strict=True) if not is_stopped]
    broken = [
        Broken.by(0, f"{name} ended by itself, with status {status}")
        for name, status in statuses.items()
        if status is not None
    ]
    broken += [Broken.by(0, f"{name} did not end when it was asked to") for name in slow]
    for name, process in lab.processes.items():
        if trace := _trace_in(process.log):
            broken.append(Broken.by(0, f"{name} fell over its own feet:\n{trace}"))
    return broken


def _trace_in(log: Path) -> str:
    """Return the first trace in a log, empty if there is none."""
    text = log.read_text() if log.exists() else ""
    found = [text.find(trace) for trace in _TRACES if trace in text]
    return text[min(found) :][:_SHOWN] if found else ""


async def _until(lab: Lab, missing: Callable[[Records], str], within_s: float) -> Dump:
    """Look at the records until nothing is missing, and return them."""
    deadline = time.monotonic() + within_s
    async with Link(lab.redis.url, client_name="chaos-look") as link:
        while True:
            dump = await StateLab(link).dump()
            why = missing(Records.of(dump)) if dump.get("index:resource") else "nothing is there"
            if not why:
                return dump
            if time.monotonic() > deadline:
                raise TimeoutError(why)
            await asyncio.sleep(_INTERVAL_S)


def _first_unfree(records: Records) -> str:
    for manager in records.managers.values():
        if manager.presence is not Presence.ONLINE:
            return f"manager {manager.id} is {manager.presence}"
    for resource in records.resources.values():
        if resource.holds or not resource.volunteered:
            why = resource.withdrawn_reason or resource.health_reason
            return f"resource {resource.name} is not free: {resource.holds} {why}"
    return ""


def _first_left(records: Records) -> str:
    for allocation in records.allocations.values():
        if allocation.state is not AllocationState.ENDED:
            return f"allocation {allocation.id} is still {allocation.state}"
    return _first_unfree(records)


async def _write_records(lab: Lab, dump: Dump) -> None:
    """Write down what is there at the end, once the log has been read to the same point."""
    revision = int(dump["revision"][0])
    await eventually(lambda: lab.reader.revision >= revision)
    records = {kind: _of_kind(dump, kind) for kind in (Kind.ALLOCATION, Kind.RESOURCE)}
    lab.history.write("records", revision=revision, **{str(k): v for k, v in records.items()})


def _of_kind(dump: Dump, kind: Kind) -> dict[str, Any]:
    """Return the records of a kind, without their secrets."""
    prefix = f"{kind}:"
    hidden = {"token_sha", "outcomes"}
    return {
        key.removeprefix(prefix): {k: v for k, v in value.items() if k not in hidden}
        for key, value in dump.items()
        if key.startswith(prefix)
    }

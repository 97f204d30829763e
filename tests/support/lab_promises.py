"""What must hold of a lab at any moment, checked from a dump of its keys alone."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hwprovisioner.state.model import RECORDS, Allocation, Hold, Manager, Resource
from hwprovisioner.state.record import Record
from hwprovisioner.state.tables import Admin, AllocationState, HoldState, Presence
from hwprovisioner.state.view import View
from support.lab_dump import Dump

HISTORY = {"use", "waits", "spans"}
SINGLE = {"revision", "log", "deadlines", "removed", "scheduler", "tended", "run", *HISTORY}
SINGLE |= {"beaters", "looked"}
NOT_READY = (HoldState.OFFERED, HoldState.PREPARING)


@dataclass(frozen=True)
class Records:
    """All records of a dump."""

    allocations: Mapping[str, Allocation]
    holds: Mapping[str, Hold]
    resources: Mapping[str, Resource]
    managers: Mapping[str, Manager]

    @classmethod
    def of(cls, dump: Dump) -> "Records":
        tables: dict[str, dict[str, Record]] = {kind: {} for kind in RECORDS}
        for key, value in dump.items():
            kind, _, record_id = key.partition(":")
            if kind in tables and isinstance(value, dict):
                tables[kind][record_id] = RECORDS[kind].parse(value)  # type: ignore[index]
        return cls(*(tables[kind] for kind in RECORDS))  # type: ignore[arg-type]


def check_promises(dump: Dump, before: Dump) -> Records:
    """Fail if a lab breaks a promise, by itself or compared with what it was before."""
    records = Records.of(dump)
    for check in _CHECKS:
        check(dump, records)
    _check_fences_rise(dump, before)
    return records


def check_view(view: View, records: Records) -> None:
    """Fail if a view is not what the records are."""
    assert view.allocations == records.allocations
    assert view.holds == records.holds
    assert view.resources == records.resources
    assert view.managers == records.managers


def _check_indexes(dump: Dump, records: Records) -> None:
    for kind in RECORDS:
        ids = {key.partition(":")[2] for key in dump if key.startswith(f"{kind}:")}
        assert dump.get(f"index:{kind}", set()) == ids, f"index of {kind}"


def _check_capacity(dump: Dump, records: Records) -> None:
    """Used amounts are those of the holds, and capacity is not exceeded."""
    for name, resource in records.resources.items():
        holds = [hold for hold in records.holds.values() if hold.resource == name]
        assert sorted(resource.holds) == sorted(hold.id for hold in holds), name
        assert resource.used_slots == len(holds), name
        assert resource.used_cpus == sum(hold.cpus for hold in holds), name
        assert resource.used_memory == sum(hold.memory for hold in holds), name
        cards = Counter(card for hold in holds for card in hold.gpus)
        assert Counter(resource.used_gpus) == cards, name
        assert all(count == 1 for count in cards.values()), f"{name}: a card is held twice"
        assert len(holds) <= resource.slots, name
        assert resource.used_cpus <= resource.cpus, name
        assert resource.used_memory <= resource.memory, name
        assert holds or not resource.removed, f"{name} should be gone"


def _check_sets(dump: Dump, records: Records) -> None:
    """The holds of an allocation are all there, and no others."""
    for allocation in records.allocations.values():
        holds = [records.holds[hold] for hold in allocation.holds]
        live = {h.id for h in records.holds.values() if h.allocation == allocation.id}
        live -= {h.id for h in records.holds.values() if h.state is HoldState.CLEANING}
        assert set(allocation.holds) == live, allocation.id
        assert allocation.pending == sum(h.state in NOT_READY for h in holds), allocation.id
        granted = allocation.state in (AllocationState.PREPARING, AllocationState.READY)
        assert bool(holds) is granted, allocation.id
        assert (allocation.state is AllocationState.READY) is (granted and not allocation.pending)


def _check_holds(dump: Dump, records: Records) -> None:
    for hold in records.holds.values():
        resource = records.resources[hold.resource]
        assert hold.id.rpartition(".")[0] == hold.resource
        assert 0 < hold.fence <= resource.fence, hold.id
        assert hold.manager == resource.manager, hold.id
        assert ("connection" in dump[f"hold:{hold.id}"]) is (hold.state is HoldState.READY)
    fences = [(hold.resource, hold.fence) for hold in records.holds.values()]
    assert len(fences) == len(set(fences)), "two holds of a resource have one fence"


def _check_deadlines(dump: Dump, records: Records) -> None:
    """Everything that is due is due about something, and nothing waits without a deadline."""
    assert set(dump.get("deadlines", {})) == set(_expected_deadlines(records, dump))
    for name, resource in records.resources.items():
        resting = dump.get("deadlines", {}).get(f"rest:{name}", 0)
        assert resource.rest_until == resting, name


def _expected_deadlines(records: Records, dump: Dump) -> Iterator[str]:
    for allocation in records.allocations.values():
        yield from _deadlines_of(allocation)
    for hold in records.holds.values():
        if hold.state is HoldState.OFFERED:
            yield f"offer:{hold.id}"
    for resource in records.resources.values():
        if resource.rest_until:
            yield f"rest:{resource.name}"
    for manager in records.managers.values():
        member = f"manager:{manager.id}"
        # A lost manager is due until everything of it was ended.
        if manager.presence is not Presence.LOST or member in dump.get("deadlines", {}):
            yield member


def _deadlines_of(allocation: Allocation) -> Iterator[str]:
    if allocation.state is AllocationState.ENDED:
        yield f"forget:{allocation.id}"
    elif allocation.state is AllocationState.BOOKED:
        yield f"begin:{allocation.id}"
    else:
        yield f"lease:{allocation.id}"
        yield from _ends_of(allocation)


def _ends_of(allocation: Allocation) -> Iterator[str]:
    """Name what else may end one that has a lease."""
    is_queued = allocation.state is AllocationState.QUEUED
    if is_queued and allocation.wait_ms:
        yield f"wait:{allocation.id}"
    if allocation.book_until_ms or (allocation.max_ms and not is_queued):
        yield f"max:{allocation.id}"
    if allocation.preempt_ms:
        assert not is_queued, f"{allocation.id} has nothing to give way with"
        yield f"preempt:{allocation.id}"
    if allocation.revoke_ms:
        yield f"revoke:{allocation.id}"


def _check_keys(dump: Dump, records: Records) -> None:
    """Every key is accounted for: none leaks, none is missing."""
    kinds = {str(kind) for kind in RECORDS}
    expected = set()
    for allocation in records.allocations.values():
        expected.add(allocation.request_key.partition("}:")[2])
        if allocation.state not in (AllocationState.ENDED, AllocationState.BOOKED):
            expected.add(f"alarm:{allocation.id}")
    rest = {key for key in dump if key not in SINGLE and key.partition(":")[0] not in kinds}
    assert {key for key in rest if not key.startswith("index:")} == expected
    for key in expected:
        if key.startswith("alarm:"):
            lease = dump["deadlines"]["lease:" + key.removeprefix("alarm:")]
            assert abs(dump[key] - lease / 1000) <= 1, key


def _check_bookings(dump: Dump, records: Records) -> None:
    for allocation in records.allocations.values():
        is_booking = allocation.book_until_ms > 0
        assert is_booking or allocation.state is not AllocationState.BOOKED, allocation.id
        assert is_booking or not allocation.reservation, allocation.id
        assert bool(allocation.preempt_ms) is bool(allocation.preempted_for), allocation.id
    for name, resource in records.resources.items():
        assert len(resource.booked) == len(set(resource.booked)), f"{name} is booked twice"


def _check_drains(dump: Dump, records: Records) -> None:
    for allocation in records.allocations.values():
        marks = [mark.partition(":") for mark in allocation.draining]
        ends = [int(ms) for _, _, ms in marks if ms]
        assert allocation.revoke_ms == min(ends, default=0), allocation.id
        if allocation.state is not AllocationState.ENDED:
            had = {records.holds[hold].resource for hold in allocation.holds}
            assert {name for name, _, _ in marks} <= had, allocation.id
        assert not (allocation.tolerates and marks), allocation.id
    for name, resource in records.resources.items():
        assert resource.holds or resource.admin is not Admin.DRAINING, name
        assert resource.admin is Admin.DRAINING or not resource.deadline_ms, name


def _check_log(dump: Dump, records: Records) -> None:
    if "revision" in dump:
        [[last, _]], _ = dump["log"]
        assert last == f"{dump['revision'][0]}-0"


def _check_fences_rise(dump: Dump, before: Dump) -> None:
    fences, old = _fences(dump), _fences(before)
    assert all(fences.get(name, -1) >= fence for name, fence in old.items()), (old, fences)


def _fences(dump: Dump) -> dict[str, int]:
    fences = {
        name: int(json.loads(kept)["fence"]) for name, kept in dump.get("removed", {}).items()
    }
    for key, value in dump.items():
        if key.startswith("resource:"):
            name = key.removeprefix("resource:")
            fences[name] = max(fences.get(name, 0), int(value["fence"]))
            assert fences[name] == int(value["fence"]), f"{name}: began again below its old fence"
    return fences


_CHECKS: tuple[Callable[[Dump, Records], None], ...] = (
    _check_indexes,
    _check_capacity,
    _check_sets,
    _check_holds,
    _check_deadlines,
    _check_keys,
    _check_bookings,
    _check_drains,
    _check_log,
)

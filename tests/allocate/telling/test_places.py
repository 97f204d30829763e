"""What is told of a place in the queue, and what counts as news."""

import pytest

from hwprovisioner.allocate.telling import rounds
from hwprovisioner.allocate.telling.places import Places, is_news
from hwprovisioner.state.model import Allocation
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import QueuePlace
from support.asking import asking
from support.fake_manager import machine, manager
from support.services import Running
from support.told_lab import MINUTE_MS, NOW_MS, Records, always_new


class Telling:
    """Places of a lab with one machine in use."""

    def __init__(self) -> None:
        self.records = Records()
        self.places = Places(self.records.view, self.records.lab)
        self.places.outlook.kept = always_new()
        self.records.holder("running", 4)
        self.records.machine("r", "running")


@pytest.fixture
def telling() -> Telling:
    return Telling()


def test_the_place_is_told_with_its_reason_and_times(telling: Telling) -> None:
    records = telling.records
    records.lab.past.spans = {"runs": (10 * MINUTE_MS,) * 3}
    records.change("allocation", "running", class_id="runs")
    records.queue("first")
    records.queue("second")
    telling.places.prepare(2)
    place = telling.places.place(records.view.allocations["second"])
    assert place.place == 2
    assert place.reason.startswith("h: 1 resource matches: 1 in use, next expected free")
    assert place.expected_time.ToMilliseconds() == NOW_MS + 16 * MINUTE_MS
    assert place.likely_time.ToMilliseconds() == NOW_MS + 16 * MINUTE_MS
    records.change("allocation", "first")
    assert telling.places.place(records.view.allocations["second"]).place == 1


def test_what_is_just_being_granted_says_so(telling: Telling) -> None:
    telling.records.queue("first")
    telling.records.lab.planner.remove("first")
    place = telling.places.place(telling.records.view.allocations["first"])
    assert (place.place, place.reason) == (1, "its turn: it is being granted")


def told(place: int = 1, reason: str = "", minutes: float = 0) -> QueuePlace:
    message = QueuePlace(place=place, reason=reason)
    if minutes:
        message.expected_time.FromMilliseconds(NOW_MS + int(minutes * MINUTE_MS))
    return message


@pytest.mark.parametrize(
    ("before", "after", "is_worth_it"),
    [
        (None, told(), True),
        (told(), told(), False),
        (told(2), told(1), True),
        (told(reason="a"), told(reason="b"), True),
        (told(), told(minutes=5), True),
        (told(minutes=5), told(), True),
        (told(minutes=5), told(minutes=5.5), False),
        (told(minutes=5), told(minutes=7), True),
        (told(minutes=60), told(minutes=65), False),
        (told(minutes=60), told(minutes=50), True),
        (told(minutes=3), told(minutes=-1), True),
        (told(reason="its turn"), told(reason="its turn: it is being granted"), False),
        (None, told(reason="its turn: it is being granted"), True),
    ],
)
def test_what_nobody_would_mind_is_no_news(
    before: QueuePlace | None, after: QueuePlace, is_worth_it: bool
) -> None:
    assert is_news(after, before, NOW_MS) is is_worth_it


async def test_a_waiter_is_told_what_it_waits_for_and_until_when(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, max_duration=600) as holder,
    ):
        await holder.until("ready")
        async with asking(service.stub) as waiting, asking(service.stub) as last:
            queued = waiting.updates[0].queued
            lacks = "host: 1 resource matches: 1 in use, next expected free in about 10 min"
            assert queued.reason == lacks
            ends_ms = holder.allocation.grant_time.ToMilliseconds() + 600_000
            assert 0 <= queued.expected_time.ToMilliseconds() - ends_ms <= MINUTE_MS
            await last.waits_for("1 request is before it for the same")
            await waiting.release()
            told = await last.until("queued", lambda queued: queued.place == 1)
            assert told.queued.expected_time == queued.expected_time
            assert told.queued.reason == lacks


async def test_the_place_of_a_new_request_is_worked_out_once(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[str] = []
    place = Places.place

    def noted(places: Places, allocation: Allocation) -> QueuePlace:
        asked_for.append(allocation.id)
        return place(places, allocation)

    monkeypatch.setattr(Places, "place", noted)
    monkeypatch.setattr(rounds, "SOONEST_S", 1_000.0)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        async with asking(service.stub) as waiting:
            # The other time it is for this call, by whose answer all else has been told, too.
            await service.stub.GetAllocation(pb.GetAllocationRequest(allocation_id=waiting.id))
            assert asked_for.count(waiting.id) == 2

"""Who is told of places in the queue, when, and what counts as news."""

import asyncio
from collections.abc import Callable

import pytest

from hwprovisioner.allocate.telling import places as module
from hwprovisioner.allocate.telling.kept import REST
from hwprovisioner.allocate.telling.places import PLACES_S, Places, is_news
from hwprovisioner.state.model import Allocation
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import QueuePlace
from support.asking import asking
from support.fake_manager import machine, manager
from support.services import Running
from support.told_lab import MINUTE_MS, NOW_MS, Records, always_new


class Loop:
    """An event loop in which time passes when the test says so."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.soon: list[Callable[[], None]] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> object:
        self.later.append((delay_s, callback))
        return object()

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def ring(self) -> float:
        """Let the one timer ring; returns after how long it does."""
        [(delay_s, callback)] = self.later
        self.later.clear()
        callback()
        return delay_s


class Telling:
    """Places of a lab with one machine in use."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.records = Records()
        self.places = Places(self.records.view, self.records.lab, lambda: self.now_s)
        self.places.outlook.kept = always_new()
        self.records.holder("running", 4)
        self.records.machine("r", "running")

    def spend(self, seconds: float) -> None:
        with self.places.telling():
            self.now_s += seconds


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


@pytest.fixture
def telling(loop: Loop) -> Telling:
    return Telling()


def test_nobody_is_told_of_what_nobody_waits_for(telling: Telling, loop: Loop) -> None:
    telling.records.queue("first")
    assert loop.later == []


def test_whoever_waits_is_told_once_after_a_change(telling: Telling, loop: Loop) -> None:
    news = asyncio.Event()
    telling.places.wants_news(news)
    telling.records.queue("first")
    telling.records.queue("second")
    assert not news.is_set()
    assert loop.ring() == PLACES_S
    assert news.is_set()
    news.clear()
    telling.records.queue("third")
    assert (loop.later, news.is_set()) == ([], False)


def test_what_a_round_took_is_followed_by_a_rest(telling: Telling, loop: Loop) -> None:
    news = asyncio.Event()
    for spent_s, rest_s in ((0.0, PLACES_S), (1.0, REST * 1.0), (0.0, PLACES_S)):
        telling.spend(spent_s)
        telling.places.wants_news(news)
        telling.records.queue("again")
        assert loop.ring() == rest_s


def test_many_are_told_some_at_a_time_with_rests_between(telling: Telling, loop: Loop) -> None:
    events = [asyncio.Event() for _ in range(100)]
    for event in events:
        telling.places.wants_news(event)
    telling.records.queue("first")
    assert loop.ring() == PLACES_S
    assert [event.is_set() for event in events] == [True] * 64 + [False] * 36
    telling.spend(0.5)
    [wind] = loop.soon
    wind()
    assert loop.ring() == REST * 0.5
    assert all(event.is_set() for event in events)
    assert (len(loop.soon), loop.later) == (1, [])


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
    monkeypatch.setattr(module, "PLACES_S", 1_000.0)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        async with asking(service.stub) as waiting:
            # The other time it is for this call, by whose answer all else has been told, too.
            await service.stub.GetAllocation(pb.GetAllocationRequest(allocation_id=waiting.id))
            assert asked_for.count(waiting.id) == 2

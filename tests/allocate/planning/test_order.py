"""The order of the queue, against sorting by its definition."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.planning import lineup
from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.lineup import BOOKED
from hwprovisioner.allocate.planning.order import REFRESH_MS, Queue, Request
from hwprovisioner.allocate.planning.walk import Walk
from support.planning import a_set, cpus

KINDS = 4
USERS = "uvwxyz"


@dataclass(frozen=True)
class Shares:
    """What counts of each user."""

    averages: dict[str, float]
    weights: dict[str, float]

    def average(self, user: str, now_ms: int) -> float:
        return self.averages.get(user, 0.0)

    def weight(self, user: str) -> float:
        return self.weights.get(user, 1.0)


def asked_for() -> list[RequestClass]:
    classes = Classes()
    return [classes.get(str(n), a_set(cpus(n + 1))) for n in range(KINDS)]


KNOWN = asked_for()
REQUESTS = st.lists(
    st.builds(
        Request,
        id=st.integers(0, 199).map("q{}".format),
        user=st.sampled_from(USERS),
        asked=st.sampled_from(KNOWN),
        priority=st.sampled_from([0, 0, 0, 1, BOOKED]),
        turn=st.integers(0, 9),
    ),
    max_size=40,
    unique_by=lambda request: request.id,
)
SHARES = st.builds(
    Shares,
    st.dictionaries(st.sampled_from(USERS), st.sampled_from([0.0, 0.5, 3.0])),
    st.dictionaries(st.sampled_from(USERS), st.sampled_from([0.5, 1.0, 2.0])),
)
HELD = st.dictionaries(st.sampled_from(USERS), st.integers(0, 4))
MASKS = st.integers(0, (1 << KINDS) - 1)


def queue_of(requests: Iterable[Request], shares: Shares, held: dict[str, int]) -> Queue:
    queue = Queue(shares.average, shares.weight)
    for request in requests:
        queue.add(request)
    for user, hosts in held.items():
        queue.hold(user, hosts)
    return queue


def sorted_by_definition(
    requests: Iterable[Request], shares: Shares, held: dict[str, int]
) -> list[str]:
    """Priority; then what the user holds, held and has before it, by weight; then time."""
    keys = []
    before = dict[str, int]()
    for each in sorted(requests, key=lambda r: (-r.priority, r.turn, r.id)):
        nth = before.get(each.user, 0)
        before[each.user] = nth + 1
        average = shares.average(each.user, 0)
        used = max(held.get(each.user, 0), average) + average + nth
        share = 0.0 if each.priority == BOOKED else used / shares.weight(each.user)
        keys.append((-each.priority, share, each.turn, each.id))
    return [key[3] for key in sorted(keys)]


@pytest.fixture(params=[0, 2, 64])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many requests are passed one by one."""
    monkeypatch.setattr(lineup, "_SCANNED", request.param)
    return int(request.param)


@given(requests=REQUESTS, shares=SHARES, held=HELD, data=st.data())
def test_the_order_is_the_one_of_its_definition_in_whatever_order_they_were_queued(
    requests: list[Request], shares: Shares, held: dict[str, int], data: st.DataObject
) -> None:
    expected = sorted_by_definition(requests, shares, held)
    queue = queue_of(data.draw(st.permutations(requests)), shares, held)
    assert [request.id for request in queue.in_order()] == expected
    assert sorted(expected, key=lambda name: queue.key(name) or ()) == expected


@given(requests=REQUESTS, gone=st.sets(st.integers(0, 24)), held=HELD)
def test_who_leaves_is_as_if_they_had_never_been(
    requests: list[Request], gone: set[int], held: dict[str, int]
) -> None:
    queue = queue_of(requests, Shares({}, {}), held)
    left = [request for number, request in enumerate(requests) if number not in gone]
    for number, request in enumerate(requests):
        assert (queue.remove(request.id) is request) if number in gone else True
    assert [each.id for each in queue.in_order()] == sorted_by_definition(
        left, Shares({}, {}), held
    )
    assert len(queue) == len(left)


def test_a_walk_meets_what_is_wanted_when_it_comes_there(steps: int) -> None:
    @given(requests=REQUESTS, shares=SHARES, held=HELD, masks=st.lists(MASKS, min_size=1))
    def check(
        requests: list[Request], shares: Shares, held: dict[str, int], masks: list[int]
    ) -> None:
        queue = queue_of(requests, shares, held)
        walk, met, at = Walk(queue, masks[0]), [], 0
        for request in walk:
            met.append(request.id)
            at += 1
            walk.mask = masks[min(at, len(masks) - 1)]
        assert met == _plain_walk(requests, sorted_by_definition(requests, shares, held), masks)

    check()


def _plain_walk(requests: list[Request], expected: list[str], masks: list[int]) -> list[str]:
    by_id = {request.id: request for request in requests}
    met: list[str] = []
    for name in expected:
        mask = masks[min(len(met), len(masks) - 1)]
        if not mask:
            break
        if by_id[name].asked.bit & mask:
            met.append(name)
    return met


def test_a_user_who_is_barred_for_a_class_is_passed_over_for_it_only(steps: int) -> None:
    asked = asked_for()
    queue = Queue(lambda user, now_ms: 0.0, lambda user: 1.0)
    for turn in range(6):
        queue.add(Request(f"u{turn}", "u", asked[turn % 2], turn=turn))
        queue.add(Request(f"v{turn}", "v", asked[turn % 2], turn=turn))
    walk, met = Walk(queue, -1), []
    for request in walk:
        met.append(request.id)
        if request.id == "u0":
            walk.bar("u", asked[0].bit)
    assert met == ["u0", "v0", "u1", "v1", "v2", "u3", "v3", "v4", "u5", "v5"]


def test_the_second_request_of_a_user_stands_behind_the_first_of_all_others() -> None:
    queue = Queue(lambda user, now_ms: 0.0, lambda user: 1.0)
    [asked, *_] = asked_for()
    names = ["a1", "a2", "a3", "b1", "b2", "c1"]
    for turn, name in enumerate(names):
        queue.add(Request(name, name[0], asked, turn=turn))
    assert [each.id for each in queue.in_order()] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    queue.hold("b", 2)
    assert [each.id for each in queue.in_order()] == ["a1", "c1", "a2", "a3", "b1", "b2"]


def test_use_is_asked_for_anew_after_a_while_and_when_it_is_forced() -> None:
    averages = {"a": 0.0}
    queue = Queue(lambda user, now_ms: averages.get(user, 0.0), lambda user: 1.0)
    [asked, *_] = asked_for()
    queue.add(Request("a", "a", asked, turn=0))
    queue.add(Request("b", "b", asked, turn=1))
    assert queue.refresh(0)
    averages["a"] = 5.0
    assert not queue.refresh(REFRESH_MS - 1)
    assert [each.id for each in queue.in_order()] == ["a", "b"]
    assert queue.refresh(REFRESH_MS)
    assert [each.id for each in queue.in_order()] == ["b", "a"]
    averages["a"] = 0.0
    assert queue.refresh(REFRESH_MS + 1, force=True)
    assert [each.id for each in queue.in_order()] == ["a", "b"]


def test_users_without_anything_are_forgotten() -> None:
    queue = Queue(lambda user, now_ms: 0.0, lambda user: 1.0)
    [asked, *_] = asked_for()
    queue.add(Request("a", "a", asked))
    queue.hold("b", 1)
    queue.remove("a")
    queue.refresh(REFRESH_MS)
    assert queue.user("b").held == 1
    assert queue.key("a") is None
    assert list(queue.users_in_order()) == []


@pytest.mark.parametrize(
    ("max_ms", "until_ms", "ends_ms"),
    [(0, 0, 0), (50, 0, 150), (0, 120, 120), (50, 120, 120), (10, 120, 110)],
)
def test_a_request_ends_by_whatever_comes_first(max_ms: int, until_ms: int, ends_ms: int) -> None:
    request = Request("a", "a", KNOWN[0], max_ms=max_ms, until_ms=until_ms)
    assert request.ends_ms(100) == ends_ms

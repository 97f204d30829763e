"""Places in the queue: what is counted is what the order says."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.lineup import BOOKED
from hwprovisioner.allocate.planning.order import Queue, Request
from hwprovisioner.allocate.telling.ahead import (
    Ahead,
    AheadOfEach,
    Order,
    ahead_of_one,
    hosts_wanted,
    place_of,
)
from support.waiting_lab import SmallLab, labelled

LAB = SmallLab()
LAB.put("a", "x")
LAB.put("b", "y")
ONE_X, ONE_Y = LAB.asked(h=labelled("x")), LAB.asked(h=labelled("y"))
BOTH = LAB.asked(x=labelled("x"), also_x=labelled("x"), y=labelled("y"))
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "eve"]),
        st.sampled_from([ONE_X, ONE_Y, BOTH]),
        st.sampled_from([-1, 0, 0, 1, BOOKED]),
    ),
    max_size=25,
)
HELD = st.dictionaries(st.sampled_from(["ann", "bob", "eve"]), st.integers(0, 4))
WEIGHTS = {"ann": 1.0, "bob": 3.0, "eve": 0.5, "zoe": 1.0}


def queue_of(requests: list[tuple[str, object, int]], held: dict[str, int]) -> Queue:
    queue = Queue(lambda user, now_ms: 0.25, lambda user: WEIGHTS[user])
    for turn, (user, asked, priority) in enumerate(requests):
        queue.add(Request(f"r{turn}", user, asked, priority, turn))  # type: ignore[arg-type]
    for user, hosts in held.items():
        queue.hold(user, hosts)
    return queue


@given(REQUESTS, HELD)
def test_the_place_of_each_request_is_that_in_the_order(
    requests: list[tuple[str, object, int]], held: dict[str, int]
) -> None:
    queue = queue_of(requests, held)
    in_order = {request.id: place for place, request in enumerate(queue.in_order(), 1)}
    order = Order(queue)
    assert {request_id: order.place(request_id) for request_id in in_order} == in_order
    assert {request_id: place_of(queue, request_id) for request_id in queue.requests} == in_order


def test_what_is_not_queued_has_no_place() -> None:
    queue = queue_of([], {})
    assert (place_of(queue, "r0"), Order(queue).place("r0")) == (0, 0)


@given(REQUESTS, st.integers(0, 24), st.none() | st.integers(0, 24))
def test_what_has_come_since_has_a_place_among_those_that_were_there(
    requests: list[tuple[str, object, int]], turn: int, gone: int | None
) -> None:
    queue = queue_of(requests, {})
    order = Order(queue)
    queue.remove(f"r{gone}")
    # Of another user, whose requests change nobody else's share.
    queue.add(Request("new", "zoe", ONE_X, 0, turn))
    told = order.place("new")
    assert 1 <= told <= len(requests) + 1
    if gone is None:
        assert told == place_of(queue, "new")


@given(REQUESTS, HELD)
def test_ahead_are_those_before_it_that_want_the_same_with_the_hosts_that_do(
    requests: list[tuple[str, object, int]], held: dict[str, int]
) -> None:
    queue = queue_of(requests, held)
    [x] = ONE_X.hosts["h"]
    hosts = {ONE_X.bit: 1, BOTH.bit: 2}
    expected, so_far = {}, Ahead(0, 0)
    for request in queue.in_order():
        if wants := hosts.get(request.asked.bit):
            expected[request.id] = so_far
            so_far = Ahead(so_far.requests + 1, so_far.hosts + wants)
    rivals = ONE_X.bit | BOTH.bit
    of_each = AheadOfEach(queue.in_order(), rivals, x.shapes)
    assert {i: of_each.of(i) for i in queue.requests if of_each.of(i)} == expected
    found = {i: ahead_of_one(queue, queue.requests[i], rivals, x.shapes) for i in expected}
    assert found == expected
    assert hosts_wanted(queue, rivals, x.shapes) == so_far.hosts


def test_where_shapes_say_nothing_all_hosts_count() -> None:
    named = LAB.asked(h=HostDemand(resource="a"))
    queue = queue_of([("ann", BOTH, 0), ("bob", named, -1)], {})
    assert AheadOfEach(queue.in_order(), BOTH.bit | named.bit, 0).of("r1") == Ahead(1, 3)
    assert AheadOfEach(queue.in_order(), named.bit, 0).of("r1") == Ahead(0, 0)

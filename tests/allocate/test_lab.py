"""The lab follows a view: what it keeps up to date equals what it makes anew."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.policy import Policy, Preemption, Quota, UserPolicy
from hwprovisioner.state.model import Allocation, Resource
from hwprovisioner.state.view import View
from support.lab_log import ANY, BIG, PAIR, Log, X, queued

NAMES = st.sampled_from("abc")
CHANGES = st.one_of(
    st.tuples(st.just("manager"), st.sampled_from(["ONLINE", "DISCONNECTED", "LOST"])),
    st.tuples(
        st.just("resource"),
        NAMES,
        st.sampled_from([4, 8]),
        st.sampled_from(["", "x"]),
        st.fixed_dictionaries(
            {
                "used_slots": st.integers(0, 1),
                "volunteered": st.integers(0, 1),
                "health": st.sampled_from(["HEALTHY", "QUARANTINED"]),
                "admin": st.sampled_from(["ENABLED", "DRAINING"]),
                "rest_until": st.integers(0, 1),
            }
        ),
    ),
    st.tuples(st.just("gone"), st.sampled_from(["resource", "allocation", "hold"]), NAMES),
    st.tuples(
        st.just("allocation"),
        NAMES,
        st.sampled_from(["BOOKED", "QUEUED", "PREPARING", "READY", "ENDED"]),
        st.fixed_dictionaries(
            {
                "demands": st.sampled_from([ANY, X, BIG, PAIR]),
                "priority": st.integers(-1, 1),
                "turn": st.integers(0, 3),
                "book_until_ms": st.sampled_from([0, 9]),
                "reservation": st.sampled_from(
                    ["", json.dumps({"h": {"resource": "a", "cpus": 4, "memory": 0, "gpus": []}})]
                ),
            }
        ),
    ),
    st.tuples(st.just("hold"), NAMES, NAMES, st.sampled_from(["OFFERED", "READY", "CLEANING"])),
)
USERS = {"a": "ann", "b": "bob", "c": "ann"}
POLICY = Policy(everyone=UserPolicy(quota=Quota(cpus=8)))


def make(log: Log, change: tuple[Any, ...]) -> None:
    match change:
        case "manager", presence:
            log.manager("m", presence)
        case "resource", name, cpus, labels, more:
            log.resource(name, cpus, labels, **more)
        case "allocation", name, state, more:
            log.allocation(name, state, user=USERS[name], **more)
        # An allocation outlives its holds.
        case "gone", table, name if table != "allocation" or name not in log.view.holds:
            log.change(table, name)
        case "hold", name, resource, state if name in log.view.allocations:
            hold(log, name, resource, state)


def hold(log: Log, name: str, resource: str, state: str) -> None:
    # Whose a hold is never changes, nor what it is of.
    if name in log.view.holds:
        log.change("hold", name, {"state": state})
    else:
        log.hold(name, resource, name, state=state)


def snapshot(lab: Lab) -> object:
    """What follows from the records and not from the order in which they came."""
    planner = lab.planner
    inventory = planner.inventory
    resources = {
        name: (inventory.standing(name), inventory.ends_ms(name) > 0, inventory.is_open(name))
        for name in inventory.names()
    }
    users = {
        name: (queue.held, [item[:3] for item in queue.items])
        for name in ("ann", "bob", "")
        if (queue := planner.queue.user(name))
    }
    booked = {name: set(each) for name, each in planner.finder.booked.items()}
    return resources, users, queued(lab), booked, set(lab.granted)


@given(st.lists(CHANGES, max_size=30))
def test_what_is_kept_up_to_date_equals_what_is_made_anew(changes: list[tuple[Any, ...]]) -> None:
    log = Log(View())
    lab = Lab(log.view, POLICY)
    log.manager("m")
    for change in changes:
        make(log, change)
    assert snapshot(lab) == snapshot(Lab(log.view, POLICY))


@given(st.lists(CHANGES, max_size=20))
def test_what_is_decided_and_taken_back_is_as_it_was(changes: list[tuple[Any, ...]]) -> None:
    log = Log(View())
    log.manager("m")
    for change in changes:
        make(log, change)
    lab = Lab(log.view)
    grants = lab.decide()
    for grant in grants:
        lab.take_back(grant)
    assert snapshot(lab) == snapshot(Lab(log.view))
    assert {grant.request for grant in lab.decide()} == {grant.request for grant in grants}


def test_a_manager_that_comes_back_opens_what_it_has(log: Log) -> None:
    lab = Lab(log.view)
    log.manager("m")
    log.resource("a")
    log.manager("m", "DISCONNECTED")
    log.allocation("one")
    assert lab.decide() == []
    log.manager("m")
    assert [grant.request for grant in lab.decide()] == ["one"]


def test_requests_that_nothing_registered_could_satisfy_are_found(log: Log) -> None:
    lab = Lab(log.view)
    log.resource("a", admin="MAINTENANCE")
    log.resource("b", cpus=8, used_slots=1)
    log.allocation("plain", demands=ANY)
    log.allocation("big", demands=BIG)
    log.allocation("failed", demands=BIG, excluded="b")
    assert [each.id for each in lab.impossible()] == ["failed"]
    assert lab.impossible() == []
    log.resource("b", cpus=2)
    assert {each.id for each in lab.impossible()} == {"big", "failed"}


@pytest.mark.parametrize(
    ("fields", "closed", "can_open"),
    [
        ({}, "", True),
        ({"manager": "gone"}, "its manager gone is lost", False),
        ({"removed": 1}, "removed by its manager", False),
        ({"volunteered": 0, "withdrawn_reason": "hot"}, "withdrawn: hot", False),
        ({"health": "SUSPECT"}, "suspect", False),
        ({"health": "QUARANTINED", "health_reason": "smoke"}, "quarantined: smoke", False),
        ({"admin": "DRAINING"}, "draining", False),
        ({"admin": "MAINTENANCE", "admin_reason": "new disk"}, "maintenance: new disk", False),
        ({"rest_until": 9, "rest_reason": "busy"}, "declined by its manager: busy", True),
    ],
)
def test_a_resource_says_why_it_is_closed(
    log: Log, fields: dict[str, Any], closed: str, can_open: bool
) -> None:
    lab = Lab(log.view)
    log.manager("m")
    log.resource("a", **fields)
    standing = lab.planner.inventory.standing("a")
    assert (standing.closed, standing.can_open) == (closed, can_open)


def test_what_holds_have_is_missing_in_the_room() -> None:
    spec = json.dumps(
        {
            "cpus": "8",
            "memoryBytes": "64",
            "gpus": [{}, {}, {}],
            "division": {"instances": 4},
        }
    )
    used = {"used_slots": 2, "used_cpus": 3, "used_memory": 16, "used_gpus": (1,)}
    view = View()
    view.load(1, [Resource(name="d", spec=spec, slots=4, cpus=8, memory=64, **used)])  # type: ignore[arg-type]
    room = Lab(view).planner.inventory.standing("d").room
    assert (room.slots, room.cpus, room.memory, room.cards) == (2, 5, 48, frozenset({0, 2}))


def test_equal_machines_that_stand_alike_share_one_standing(log: Log) -> None:
    lab = Lab(log.view)
    log.manager("m")
    log.resource("a")
    log.resource("b")
    inventory = lab.planner.inventory
    assert inventory.standing("a") is inventory.standing("b")


@pytest.mark.parametrize(
    ("fields", "until_ms"),
    [
        ({}, 0),
        ({"max_ms": 1000}, 1005),
        ({"max_ms": 1000, "preempt_ms": 700}, 700),
        ({"book_until_ms": 800}, 800),
    ],
)
def test_a_hold_ends_when_its_allocation_does_at_the_latest(
    log: Log, fields: dict[str, Any], until_ms: int
) -> None:
    lab = Lab(log.view, Policy(preemption=Preemption()))
    log.manager("m")
    log.allocation("one", "READY", since_ms=5, holds="h", **fields)
    log.hold("h", "a", "one", state="READY")
    log.resource("a", used_slots=1, holds="h")
    assert lab.planner.inventory.ends_ms("a") == until_ms


def test_the_past_of_a_class_grows_with_what_is_granted_and_ends(log: Log) -> None:
    lab = Lab(log.view)
    asked: dict[str, Any] = {"class_id": "c", "user": "ann"}
    log.allocation("one", since_ms=100, **asked)
    # The clock may have been set meanwhile.
    log.allocation("one", "PREPARING", since_ms=400, grant_ms=9, holds="h", **asked)
    log.allocation("one", "READY", since_ms=400, holds="h", **asked)
    log.allocation("one", "ENDED", since_ms=1400, end_ms=7, **asked)
    assert (lab.past.waits, lab.past.spans) == ({"c": (300,)}, {"c": (1000,)})


def test_an_unknown_class_is_known_by_its_demands() -> None:
    lab = Lab(View())
    one, two = (Allocation(id=name, demands=PAIR) for name in "ab")
    assert lab.asked(one) is lab.asked(two)

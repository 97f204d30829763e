"""The lab follows a view: what it keeps up to date equals what it makes anew."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.state.model import Resource
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View
from support.planning import with_labels

X, ANY, BIG = with_labels("x"), HostDemand(), HostDemand(cpus=Bounds(8))
Fields = Mapping[str, object]


class Log:
    """Changes of a lab as scripts report them."""

    def __init__(self, view: View) -> None:
        self.view = view

    def change(self, kind: str, record_id: str, fields: Fields | None = None) -> None:
        flat = [word for pair in (fields or {}).items() for word in pair]
        changes = [[kind, record_id, flat] if fields else [kind, record_id]]
        revision = self.view.revision + 1
        self.view.offer(Commit(revision, 0, "test", json.dumps(changes)))

    def manager(self, name: str, presence: str = "ONLINE") -> None:
        self.change("manager", name, {"id": name, "presence": presence})

    def resource(
        self, name: str, cpus: int = 4, labels: Iterable[str] = (), **more: object
    ) -> None:
        spec = json.dumps({"name": name, "cpus": str(cpus), "labels": dict.fromkeys(labels, "")})
        fields = {"manager": "m", "volunteered": 1, "slots": 1, "cpus": cpus, "used_slots": 0}
        self.change("resource", name, {"name": name, "spec": spec, **fields, **more})

    def allocation(self, name: str, state: str, priority: int = 0, turn: int = 0) -> None:
        demands = json.dumps({"hosts": {"h": {}}})
        fields = {"state": state, "demands": demands, "priority": priority, "turn": turn}
        self.change("allocation", name, {"id": name, **fields})


@pytest.fixture
def log() -> Log:
    return Log(View())


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
    st.tuples(st.just("gone"), st.sampled_from(["resource", "allocation"]), NAMES),
    st.tuples(
        st.just("allocation"),
        NAMES,
        st.sampled_from(["QUEUED", "PREPARING", "ENDED"]),
        st.integers(-1, 1),
        st.integers(0, 3),
    ),
    st.tuples(st.just("ask"), st.sampled_from([X, ANY, BIG])),
)


def snapshot(lab: Lab) -> object:
    candidates = {demand: list(lab.candidates(demand)) for demand in (X, ANY, BIG)}
    places = {name: lab.place_in_queue(name) for name in "abc"}
    return lab.rooms, list(lab.queued()), [r.id for r in lab.queue()], places, candidates


@given(st.lists(CHANGES, max_size=30))
def test_what_is_kept_up_to_date_equals_what_is_made_anew(
    changes: list[tuple[object, ...]],
) -> None:
    log = Log(View())
    lab = Lab(log.view)
    log.manager("m")
    for kind, *args in changes:
        match kind, args:
            case "manager", [presence]:
                log.manager("m", str(presence))
            case "resource", [name, cpus, labels, dict() as more]:
                log.resource(str(name), int(str(cpus)), str(labels), **more)
            case "gone", [table, name]:
                log.change(str(table), str(name))
            case "allocation", [name, state, priority, turn]:
                log.allocation(str(name), str(state), int(str(priority)), int(str(turn)))
            case "ask", [HostDemand() as demand]:
                lab.candidates(demand)
    fresh = Lab(log.view)
    assert snapshot(lab) == snapshot(fresh)
    assert lab.doubtful <= set(lab.queued())


def test_priority_goes_before_time(log: Log) -> None:
    lab = Lab(log.view)
    log.allocation("late", "QUEUED", priority=0, turn=2)
    log.allocation("early", "QUEUED", priority=0, turn=1)
    log.allocation("urgent", "QUEUED", priority=5, turn=3)
    assert list(lab.queued()) == ["urgent", "early", "late"]
    assert [lab.place_in_queue(name) for name in ("urgent", "late", "none")] == [1, 3, 0]


def test_what_comes_back_to_the_queue_has_its_place_again(log: Log) -> None:
    lab = Lab(log.view)
    log.allocation("first", "QUEUED", turn=1)
    log.allocation("second", "QUEUED", turn=2)
    log.allocation("first", "PREPARING", turn=1)
    assert list(lab.queued()) == ["second"]
    log.allocation("first", "QUEUED", turn=1)
    assert list(lab.queued()) == ["first", "second"]


def test_the_plainest_candidate_comes_first(log: Log) -> None:
    lab = Lab(log.view)
    log.resource("large", cpus=64)
    log.resource("special", cpus=2, labels=["x"])
    log.resource("plain", cpus=4)
    assert list(lab.candidates(ANY)) == ["plain", "large", "special"]


def test_requests_are_doubtful_when_they_come_and_all_when_a_resource_changes(log: Log) -> None:
    lab = Lab(log.view)
    log.resource("a")
    log.allocation("one", "QUEUED")
    assert lab.doubtful == {"one"}
    lab.doubtful.clear()
    log.resource("b")
    assert lab.doubtful == set()
    log.resource("a", cpus=2)
    assert lab.doubtful == {"one"}
    log.allocation("one", "ENDED")
    assert lab.doubtful == set()


@pytest.mark.parametrize(
    ("fields", "closed", "can_open"),
    [
        ({}, "", True),
        ({"manager": "gone"}, "its manager gone is lost", False),
        ({"removed": 1}, "removed by its manager", False),
        ({"volunteered": 0, "withdrawn_reason": "hot"}, "withdrawn: hot", False),
        ({"health": "SUSPECT"}, "suspect", False),
        ({"health": "QUARANTINED", "axis_reason": "smoke"}, "quarantined: smoke", False),
        ({"admin": "DRAINING"}, "draining", False),
        ({"admin": "MAINTENANCE", "axis_reason": "new disk"}, "maintenance: new disk", False),
        ({"rest_until": 9, "rest_reason": "busy"}, "declined by its manager: busy", True),
    ],
)
def test_a_room_says_why_it_is_closed(
    log: Log, fields: dict[str, Any], closed: str, can_open: bool
) -> None:
    lab = Lab(log.view)
    log.manager("m")
    log.resource("a", **fields)
    assert (lab.rooms["a"].closed, lab.rooms["a"].can_open) == (closed, can_open)


def test_what_holds_have_is_missing_in_the_room() -> None:
    spec = json.dumps(
        {
            "name": "d",
            "cpus": "8",
            "memoryBytes": "64",
            "gpus": [{}, {}, {}],
            "division": {"instances": 4},
        }
    )
    used = {"used_slots": 2, "used_cpus": 3, "used_memory": 16, "used_gpus": (1,)}
    view = View()
    view.load(1, [Resource(name="d", spec=spec, slots=4, cpus=8, memory=64, **used)])  # type: ignore[arg-type]
    room = Lab(view).rooms["d"]
    assert (room.slots, room.cpus, room.memory, room.cards) == (2, 5, 48, frozenset({0, 2}))


def test_a_set_is_feasible_whatever_is_in_use_or_out_of_service_but_not_excluded(log: Log) -> None:
    lab = Lab(log.view)
    log.resource("a", used_slots=1)
    log.resource("b", admin="MAINTENANCE")
    pair = {"one": ANY, "two": ANY}
    assert lab.feasible(pair)
    assert not lab.feasible(pair, frozenset({"b"}))
    assert not lab.feasible({"one": X})


def test_a_share_that_does_not_say_is_never_more_than_all_there_is() -> None:
    spec = json.dumps({"name": "d", "division": {"instances": 2, "defaultCpus": "4"}})
    view = View()
    view.load(1, [Resource(name="d", spec=spec, slots=2)])
    assert Lab(view).feasible({"one": ANY, "two": ANY})

"""What a queued request waits for, in words."""

import pytest

from hwprovisioner.allocate.demand import HostDemand, Relation, RelationKind
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning.booked import Booked
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.room import Share
from hwprovisioner.allocate.telling.reasons import about, at, counted, listed
from hwprovisioner.allocate.telling.waiting import Waiting, waits_for
from support.waiting_lab import SmallLab, labelled

X = labelled("x")
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def lab() -> SmallLab:
    return SmallLab()


def test_a_host_says_how_many_match_and_how_they_stand(lab: SmallLab) -> None:
    for name in ("a", "b", "c"):
        lab.put(name, "x", used=True)
    lab.put("d", "x", closed="quarantined", can_open=False)
    lab.put("other")
    asked = lab.asked(edge=X)
    assert lab.lack(asked) == "edge: 4 resources match: 3 in use; 1 quarantined"
    assert lab.lack(asked, next_free_ms=6 * MINUTE_MS) == (
        "edge: 4 resources match: 3 in use, next expected free in about 6 min; 1 quarantined"
    )


def test_a_set_says_how_much_of_it_could_be_had(lab: SmallLab) -> None:
    lab.put("a", "x", used=True)
    lab.put("b")
    lab.put("c")
    asked = lab.asked(db=HostDemand(), web=HostDemand(), edge=X)
    assert lab.lack(asked) == "2 of 3 hosts could be had now; edge: 1 resource matches: 1 in use"


def test_copies_are_told_of_once_and_hosts_of_the_same_set_take_from_each_other(
    lab: SmallLab,
) -> None:
    lab.put("a", "x")
    lab.put("b", "x", used=True)
    copies = {f"edge-{n}": X for n in range(1, 5)}
    assert lab.lack(lab.asked(**copies)) == (
        "1 of 4 hosts could be had now; edge-2 and 2 more like it: 2 resources match:"
        " 1 in use; 1 for another of its hosts"
    )


def test_nothing_is_lacking_where_all_could_be_had(lab: SmallLab) -> None:
    lab.put("a", "x")
    assert lab.lack(lab.asked(edge=X)) == ""
    assert waits_for(Waiting(), "", 0) == "its turn"


def test_many_different_hosts_are_told_of_in_part(lab: SmallLab) -> None:
    lab.put("a", "vwxyz", used=True)
    said = lab.lack(lab.asked(**{letter: labelled(letter) for letter in "vwxyz"}))
    assert said.endswith("; and 2 more")


def test_a_shared_resource_says_what_there_is_too_little_of(lab: SmallLab) -> None:
    lab.put("hv", cpus=8, free_cpus=3)
    asked = lab.asked(db=HostDemand(cpus=Bounds(4)))
    assert lab.lack(asked) == "db: 1 resource matches: cpus: 3 free, wants 4"


def test_of_many_shared_resources_that_are_too_full_all_are_counted(lab: SmallLab) -> None:
    for number in range(70):
        lab.put(f"hv{number}", cpus=8, free_cpus=3)
    asked = lab.asked(db=HostDemand(cpus=Bounds(4)))
    assert lab.lack(asked) == (
        "db: 70 resources match: cpus: 3 free, wants 4 (64), 6 with too little free"
    )


def test_what_a_set_keeps_is_said_to_be_kept_and_its_own_to_be_its_own(lab: SmallLab) -> None:
    lab.put("a", "x")
    lab.put("b", "x", used=True)
    pair, single = lab.asked(one=X, two=X), lab.asked(edge=X)
    lab.planner.add(Request("set", "ann", pair))
    lab.planner.decide(1)
    assert lab.planner.keepers["set"].names == {"a"}
    assert lab.lack(single) == (
        "edge: 2 resources match: 1 in use; 1 kept for a set whose turn it is"
    )
    assert lab.lack(pair, also=("a",)) == (
        "1 of 2 hosts could be had now; two: 2 resources match:"
        " 1 in use; 1 for another of its hosts"
    )


def test_what_is_booked_says_from_when_and_what_to_do(lab: SmallLab) -> None:
    lab.put("a", "x")
    lab.put("b", "x")
    for name in ("a", "b"):
        booking = Booked("booking", Share(0, 0, ()), 14 * HOUR_MS, 15 * HOUR_MS)
        lab.planner.finder.booked[name] = (booking,)
    asked = lab.asked(edge=X)
    assert lab.lack(asked) == (
        "edge: 2 resources match: 2 are booked from 14:00 UTC:"
        " say a maximum duration that ends before"
    )
    assert lab.lack(asked, ends_ms=13 * HOUR_MS) == ""
    assert "whose time has come" in lab.lack(asked, now_ms=14 * HOUR_MS)


def test_a_named_resource_and_names_that_are_not_wanted(lab: SmallLab) -> None:
    lab.put("a", used=True)
    lab.put("b")
    assert lab.lack(lab.asked(edge=HostDemand(resource="a"))) == (
        "edge: 1 resource matches: 1 in use"
    )
    not_b = lab.asked(edge=HostDemand(not_resources=frozenset({"b"})))
    assert lab.lack(not_b) == "edge: 1 resource matches: 1 in use"


def test_resources_that_failed_it_are_told(lab: SmallLab) -> None:
    lab.put("a", "x", used=True)
    lab.put("b", "x")
    assert lab.lack(lab.asked(edge=X), excluded=frozenset({"b", "gone"})) == (
        "edge: 2 resources match: 1 in use; 1 failed it before"
    )


def test_what_is_free_and_fits_no_relation_is_told(lab: SmallLab) -> None:
    lab.put("a", labels={"rack": "1"})
    lab.put("b", labels={"rack": "2"})
    same = Relation(RelationKind.SAME, "rack", ("one", "two"))
    asked = lab.asked(same, one=HostDemand(), two=HostDemand())
    assert "1 free, but not together with the rest" in lab.lack(asked)


def test_what_comes_by_itself_of_a_request_is_told_in_order() -> None:
    lack = "edge: 1 resource matches: 1 in use"
    assert waits_for(Waiting(before=1), lack, 0) == f"{lack}; 1 request is before it for the same"
    assert waits_for(Waiting(before=2), "", 0) == "2 requests are before it for the same"
    waiting = Waiting(giving_way=2, given_way_ms=90_000, failure="no power")
    assert waits_for(waiting, lack, 0) == (
        f"pre-empting: 2 allocations give way in about 2 min; {lack} (before: no power)"
    )
    over = Waiting(over_quota="over quota: cpus: 8 of 8 in use, wants 4 more", before=2)
    assert waits_for(over, lack, 0) == "over quota: cpus: 8 of 8 in use, wants 4 more"


@pytest.mark.parametrize(
    ("span_ms", "said"),
    [
        (-5, "less than a minute"),
        (44_000, "less than a minute"),
        (6 * MINUTE_MS + 1, "about 6 min"),
        (23 * MINUTE_MS, "about 25 min"),
        (3 * HOUR_MS, "about 3 h"),
        (100 * HOUR_MS, "about 4 days"),
    ],
)
def test_spans_are_told_coarsely(span_ms: int, said: str) -> None:
    assert about(span_ms) == said


def test_instants_have_their_day_unless_it_is_today() -> None:
    assert at(14 * HOUR_MS, 0) == "14:00 UTC"
    assert at(38 * HOUR_MS, 0) == "1970-01-02 14:00 UTC"


def test_reasons_are_counted_the_most_frequent_first_and_bounded() -> None:
    assert counted({"draining": 1, "cpus: has 4": 2, "lost": 1}) == (
        "cpus: has 4 (2), 1 draining, 1 lost"
    )
    assert counted({"a": 1, "b": 1, "c": 1, "d": 1}) == "1 a, 1 b, 1 c, and other reasons"
    assert listed(["a", "b"]) == "a; b"

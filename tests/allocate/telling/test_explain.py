"""Why demands can or cannot be had: now, later, not while something is out of service, or never."""

import pytest

from hwprovisioner.allocate.demand import HostDemand, Relation, RelationKind
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.booked import Booked
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.room import Share
from hwprovisioner.allocate.telling.explain import why_never
from hwprovisioner.allocate.telling.verdicts import Judge, When
from support.waiting_lab import SmallLab, labelled

X, Y = labelled("x"), labelled("y")
HOUR_MS = 3_600_000


@pytest.fixture
def lab() -> SmallLab:
    return SmallLab()


def cpus(number: int) -> HostDemand:
    return HostDemand(cpus=Bounds(number))


def never(lab: SmallLab, **hosts: HostDemand) -> dict[str, str]:
    return why_never(lab.asked(**hosts), lab.planner.inventory)


def judge(lab: SmallLab, asked: RequestClass) -> Judge:
    return Judge(lab.planner.finder, lab.stock(), asked, 0)


def verdicts(lab: SmallLab, demand: HostDemand, most: int = 100) -> dict[str, tuple[str, str]]:
    asked = lab.asked(h=demand)
    found = judge(lab, asked).hosts(demand, asked.hosts["h"], most)
    assert [each.resource for each in found] == sorted(each.resource for each in found)
    return {each.resource: (each.when, each.reason) for each in found}


def whole(lab: SmallLab, *relations: Relation, **hosts: HostDemand) -> tuple[When, str]:
    asked = lab.asked(*relations, **hosts)
    return judge(lab, asked).whole(lab.lack(asked))


def test_why_never_counts_by_shape_the_reasons_of_hosts_that_nothing_fits(lab: SmallLab) -> None:
    for number in range(9):
        lab.put(f"four{number}", cpus=4)
    for number in range(3):
        lab.put(f"two{number}", cpus=2)
    assert never(lab, db=cpus(8), web=cpus(1)) == {
        "db": "none of 12 resources fits: cpus: has 4, wants at least 8 (9),"
        " cpus: has 2, wants at least 8 (3)"
    }


def test_why_never_is_empty_where_each_host_alone_could_be_had(lab: SmallLab) -> None:
    lab.put("a", "x")
    assert never(lab, one=X, two=X) == {}


def test_of_many_reasons_the_most_frequent_are_told(lab: SmallLab) -> None:
    for number in range(1, 6):
        lab.put(f"r{number}", cpus=number)
    assert never(lab, one=cpus(9))["one"].endswith(", and other reasons")


def test_what_has_gone_is_no_longer_counted(lab: SmallLab) -> None:
    lab.put("a", cpus=2)
    lab.put("b", cpus=4)
    lab.planner.set_resource("a", None)
    assert never(lab, h=cpus(8)) == {
        "h": "the only resource does not fit: cpus: has 4, wants at least 8"
    }


def test_an_empty_lab_says_that_it_is_empty(lab: SmallLab) -> None:
    assert "is a resource manager connected?" in never(lab, one=X)["one"]


def test_a_named_resource_says_what_is_wrong_with_it_and_no_other(lab: SmallLab) -> None:
    lab.put("a", cpus=4)
    lab.put("b", cpus=8)
    assert never(lab, h=HostDemand(resource="c")) == {"h": "no resource is called c"}
    small = HostDemand(resource="a", cpus=Bounds(8))
    assert never(lab, h=small) == {"h": "a: cpus: has 4, wants at least 8"}
    assert never(lab, h=HostDemand(resource="b")) == {}


def test_each_alternative_has_its_reason(lab: SmallLab) -> None:
    lab.put("a", cpus=4)
    either = HostDemand(alternatives=(cpus(8), X, HostDemand(resource="c")))
    assert never(lab, h=either) == {
        "h": "no resource is called c; or"
        " the only resource does not fit: cpus: has 4, wants at least 8; or labels: lacks x"
    }


def test_names_that_are_not_wanted_are_told(lab: SmallLab) -> None:
    lab.put("a")
    assert never(lab, h=HostDemand(not_resources=frozenset({"a"}))) == {
        "h": "the only resource does not fit: not_resources: a is one of them"
    }


def test_each_resource_has_its_first_reason_and_when_it_can_serve(lab: SmallLab) -> None:
    lab.put("declined", "x", closed="declined by its manager: busy", can_open=True)
    lab.put("drained", "x", used=True, closed="draining", can_open=False)
    lab.put("free", "x")
    lab.put("other")
    lab.put("used", "x", used=True)
    assert verdicts(lab, X) == {
        "declined": ("LATER", "declined by its manager: busy"),
        "drained": ("OUT_OF_SERVICE", "draining"),
        "free": ("NOW", ""),
        "other": ("NEVER", "labels: lacks x"),
        "used": ("LATER", "in use"),
    }


def test_what_is_kept_or_booked_can_be_had_later(lab: SmallLab) -> None:
    lab.put("a", "x")
    lab.put("b", "x", used=True)
    lab.put("c", "y")
    lab.planner.add(Request("set", "ann", lab.asked(one=X, two=X)))
    lab.planner.decide(1)
    booking = Booked("booking", Share(0, 0, ()), 14 * HOUR_MS, 15 * HOUR_MS)
    lab.planner.finder.booked["c"] = (booking,)
    assert verdicts(lab, X)["a"] == ("LATER", "kept for a set whose turn it is")
    assert verdicts(lab, Y)["c"] == (
        "LATER",
        "booked from 14:00 UTC: say a maximum duration that ends before",
    )


def test_a_shared_resource_says_what_there_is_too_little_of(lab: SmallLab) -> None:
    lab.put("hv", cpus=8, free_cpus=3)
    assert verdicts(lab, cpus(4)) == {"hv": ("LATER", "cpus: 3 free, wants 4")}
    assert verdicts(lab, cpus(3)) == {"hv": ("NOW", "")}
    either = HostDemand(alternatives=(cpus(9), cpus(2)))
    assert verdicts(lab, either) == {"hv": ("NOW", "")}


def test_of_many_those_are_listed_that_can_be_had_soonest(lab: SmallLab) -> None:
    for number in range(5):
        lab.put(f"away{number}", "x", closed="draining", can_open=False)
        lab.put(f"other{number}")
        lab.put(f"used{number}", "x", used=True)
    lab.put("zz", "x")
    assert set(verdicts(lab, X, most=6)) == {"zz", *(f"used{number}" for number in range(5))}
    assert set(verdicts(lab, HostDemand(resource="other3"), most=1)) == {"other3"}


def test_a_set_that_can_be_had_now(lab: SmallLab) -> None:
    lab.put("a", "x")
    lab.put("b")
    assert whole(lab, one=X, two=HostDemand()) == (When.NOW, "can be had now")


def test_a_set_that_can_be_had_later_says_what_it_lacks(lab: SmallLab) -> None:
    lab.put("a", "x")
    lab.put("b", used=True)
    assert whole(lab, one=X, two=HostDemand()) == (
        When.LATER,
        "not now: 1 of 2 hosts could be had now; two: 2 resources match:"
        " 1 in use; 1 for another of its hosts",
    )


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ("maintenance: new disk", "bench-7 is in maintenance: new disk"),
        ("quarantined", "bench-7 is quarantined"),
        ("its manager lab-2 is lost", "bench-7's manager lab-2 is lost"),
    ],
)
def test_a_set_that_needs_somebody_to_act_says_on_what(
    lab: SmallLab, closed: str, said: str
) -> None:
    lab.put("a")
    lab.put("bench-7", "x", closed=closed, can_open=False)
    assert whole(lab, one=X, two=HostDemand()) == (When.OUT_OF_SERVICE, f"not while {said}")


def test_of_several_that_are_out_of_service_one_is_named(lab: SmallLab) -> None:
    lab.put("a", "x", closed="suspect", can_open=False)
    lab.put("b", "x", closed="draining", can_open=False)
    assert whole(lab, h=X) == (
        When.OUT_OF_SERVICE,
        "not while a is suspect, as others are out of service",
    )


def test_a_set_that_can_never_be_had_says_why(lab: SmallLab) -> None:
    lab.put("a", "x", used=True)
    assert whole(lab, h=Y) == (
        When.NEVER,
        "can never be had: h: the only resource does not fit: labels: lacks y",
    )
    assert whole(lab, one=X, two=X) == (
        When.NEVER,
        "can never be had: each host could, but not all of them at once",
    )


def test_hosts_that_are_free_and_fit_no_relation_wait_for_what_is_in_use(lab: SmallLab) -> None:
    lab.put("a", labels={"rack": "1"})
    lab.put("b", labels={"rack": "2"})
    lab.put("c", labels={"rack": "2"}, used=True)
    same = Relation(RelationKind.SAME, "rack", ("one", "two"))
    when, said = whole(lab, same, one=HostDemand(), two=HostDemand())
    assert when is When.LATER
    assert said.startswith("not now: 1 of 2 hosts could be had now")

"""Finding resources for a request, against brute force over all there is."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand, RelationKind, SetDemand, Spec
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.wish import Scope, Wish
from hwprovisioner.allocate.room import Room
from support.planning import (
    SmallLab,
    a_set,
    can_be_placed,
    either,
    exclusive,
    fits,
    in_rack,
    related,
    with_labels,
)
from support.planning_machine import DEMANDS, SPECS

X, Y, ANY = with_labels("x"), with_labels("y"), HostDemand()
LABS = st.lists(
    st.tuples(st.sampled_from(SPECS), st.sampled_from(["free", "in use", "resting", "away"])),
    max_size=6,
)


def lab_of(drawn: list[tuple[Spec, str]]) -> SmallLab:
    lab = SmallLab(specs={f"r{number}": spec for number, (spec, _) in enumerate(drawn)})
    for number, (spec, state) in enumerate(drawn):
        name = f"r{number}"
        if state == "in use":
            lab.use(name, spec.cpus if spec.division else None)
        elif state != "free":
            lab.stand(name, state, can_open=state == "resting")
    return lab


def of_interest(lab: SmallLab, scope: Scope) -> dict[str, Room]:
    inventory = lab.planner.inventory
    standings = {name: inventory.standing(name) for name in lab.specs}
    if scope is Scope.OPEN:
        return {name: each.room for name, each in standings.items() if not each.closed}
    return {
        name: Room.whole(each.room.spec)
        for name, each in standings.items()
        if scope is Scope.EVER or each.can_open
    }


@given(
    drawn=LABS,
    wanted=DEMANDS,
    excluded=st.frozensets(st.sampled_from(["r0", "r2"])),
    scope=st.sampled_from([Scope.OPEN, Scope.COMING, Scope.EVER]),
)
def test_a_set_is_found_exactly_if_it_can_be_placed(
    drawn: list[tuple[Spec, str]], wanted: SetDemand, excluded: frozenset[str], scope: Scope
) -> None:
    lab = lab_of(drawn)
    asked = lab.planner.classes.get("asked", wanted)
    found = lab.planner.finder.find(Wish(asked, excluded), scope)
    rooms = of_interest(lab, scope)
    assert (found is not None) == can_be_placed(wanted, rooms, excluded)
    for host, placed in (found or {}).items():
        assert fits(wanted.hosts[host], lab.specs[placed.resource], placed.resource)
        rooms[placed.resource] = rooms[placed.resource].without(placed.share)
        assert rooms[placed.resource].slots >= 0
        assert placed.resource not in excluded


def test_what_is_shut_is_found_by_who_may_have_it_also() -> None:
    lab = SmallLab(a=exclusive("x"))
    asked = lab.ask("one", X).asked
    lab.planner.inventory.shut("a")
    assert lab.planner.finder.find(Wish(asked)) is None
    found = lab.planner.finder.find(Wish(asked, also=("a",)))
    assert found is not None
    assert found["h0"].resource == "a"


def test_hosts_with_nothing_open_are_told() -> None:
    lab = SmallLab(a=exclusive("x"), b=exclusive("y"))
    lab.use("b")
    asked = lab.ask("pair", X, Y).asked
    assert lab.planner.finder.lacks_open(asked) == ["h1"]
    assert lab.planner.finder.has_open(asked)
    lab.use("a")
    assert not lab.planner.finder.has_open(asked)


def test_hosts_in_two_relations_are_found_where_both_hold() -> None:
    def at(rack: str, switch: str) -> Spec:
        return Spec(labels=frozenset({("rack", rack), ("switch", switch)}))

    lab = SmallLab(a=at("1", "s"), b=at("1", "t"), c=at("2", "s"), d=at("2", "t"))
    lab.use("a")
    wanted = [
        related(RelationKind.SAME, "h0", "h1"),
        related(RelationKind.DIFFERENT, "h0", "h1", label="switch"),
    ]
    lab.ask("pair", ANY, ANY, relations=wanted)
    assert sorted(lab.granted()["pair"]) == ["c", "d"]


def test_alternatives_are_looked_through_in_their_order_whatever_is_plainer() -> None:
    lab = SmallLab(plain=exclusive("y"), special=exclusive("xz"))
    lab.ask("one", either(X, Y))
    assert lab.granted() == {"one": ["special"]}


def test_at_most_as_many_candidates_are_looked_at_as_a_set_has_hosts() -> None:
    lab = SmallLab(specs={f"r{number}": exclusive("x") for number in range(500)})
    asked = lab.planner.classes.get("three", a_set(X, X, X))
    found = lab.planner.finder.candidates(Wish(asked), asked.hosts["h0"], 3)
    assert len(found) == 3


def test_shapes_with_a_label_are_told_by_its_value() -> None:
    lab = SmallLab(a=in_rack("1"), b=in_rack("2"), c=in_rack("2", cpus=4))
    by_value = lab.planner.inventory.by_label["rack"]
    assert {value: len(list(bits(mask))) for value, mask in by_value.items()} == {"1": 1, "2": 2}

from dataclasses import replace

from hwprovisioner.allocate.explain import Verdict, explain_host, waiting_for, why_never
from support.planning import Candidates, Rooms, cpus, divisible, exclusive, rooms_of, with_labels

X, Y = with_labels("x"), with_labels("y")


def waits_for(rooms: Rooms, **hosts: object) -> str:
    find = Candidates(rooms)
    return waiting_for(hosts, rooms, {host: find(demand) for host, demand in hosts.items()})  # type: ignore[arg-type]


def test_each_resource_gets_its_first_reason_never_before_not_now() -> None:
    rooms = rooms_of(exclusive("c", "x"), exclusive("b", "x"), exclusive("a"), exclusive("d", "x"))
    rooms["b"] = replace(rooms["b"], slots=0)
    rooms["d"] = replace(rooms["d"], slots=0, closed="draining")
    assert explain_host(X, rooms.values()) == [
        Verdict("a", now=False, ever=False, reason="labels: lacks x"),
        Verdict("b", now=False, ever=True, reason="in use"),
        Verdict("c", now=True, ever=True, reason=""),
        Verdict("d", now=False, ever=True, reason="draining"),
    ]


def test_why_never_counts_reasons_for_hosts_that_nothing_fits() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b"), exclusive("c")).values()
    assert why_never({"one": X, "two": Y}, rooms) == {
        "two": "none of 3 resources fits: labels: lacks y (3)"
    }
    many = rooms_of(*(exclusive(f"r{n}", cpus=n) for n in range(1, 6))).values()
    assert why_never({"one": cpus(9)}, many)["one"].endswith(", and other reasons")


def test_an_empty_lab_says_that_it_is_empty() -> None:
    assert "is a resource manager connected?" in why_never({"one": X}, [])["one"]


def test_a_waiting_host_says_how_many_match_and_why_they_cannot_be_had() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "x"), exclusive("c"))
    rooms["a"] = replace(rooms["a"], slots=0)
    rooms["b"] = replace(rooms["b"], closed="draining")
    assert waits_for(rooms, one=X) == "one: 2 resources match: 1 in use, 1 draining"
    assert waits_for(rooms, one=X, two=with_labels("")) == (
        "1 of 2 hosts could be had now; one: 2 resources match: 1 in use, 1 draining"
    )


def test_what_could_be_had_waits_for_its_turn_or_for_all_at_once() -> None:
    rooms = rooms_of(exclusive("a", "x"))
    assert waits_for(rooms, one=X) == "its turn"
    assert waits_for(rooms, one=X, two=X) == "enough resources at once"


def test_a_divisible_resource_says_what_there_is_too_little_of() -> None:
    rooms = rooms_of(divisible("d", cpus=8))
    rooms["d"] = replace(rooms["d"], cpus=3)
    assert waits_for(rooms, one=cpus(4)) == "one: 1 resource matches: cpus: 3 free, wants 4"


def test_of_many_hosts_only_some_are_explained() -> None:
    rooms = rooms_of(*(exclusive(f"r{n}", "x") for n in range(9)))
    rooms = {name: replace(room, slots=0) for name, room in rooms.items()}
    said = waits_for(rooms, **{f"h{n}": X for n in range(5)})
    assert said.endswith("; and 2 more")

"""What is free, by shape: how it comes, goes, is taken and comes free."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.planning.inventory import Inventory, Shape, Standing, bits
from hwprovisioner.allocate.room import Room, Share
from support.planning import divisible, exclusive, in_rack


def inventory() -> tuple[Inventory, list[tuple[str, bool]]]:
    heard: list[tuple[str, bool]] = []

    def hear(shape: Shape, has_come: bool) -> None:
        heard.append(("".join(sorted(label for label, _ in shape.spec.labels)), has_come))

    return Inventory(hear), heard


def unused(spec: object) -> Standing:
    return Standing(Room.whole(spec))  # type: ignore[arg-type]


@given(st.integers(0, 2**200))
def test_bits_are_the_places_that_are_set(mask: int) -> None:
    assert list(bits(mask)) == [n for n in range(201) if mask >> n & 1]


def test_a_shape_comes_with_its_first_and_goes_with_its_last() -> None:
    found, heard = inventory()
    found.put("a", unused(exclusive("x")))
    found.put("b", unused(exclusive("x")))
    found.put("a", None)
    assert heard == [("x", True)]
    found.put("b", None)
    assert heard == [("x", True), ("x", False)]
    assert found.open == 0
    assert len(found) == 0
    assert "b" not in found


def test_the_place_of_a_shape_that_went_is_used_again_and_nothing_of_it_is_left() -> None:
    found, _ = inventory()
    found.put("a", unused(divisible(4, labels="x")))
    found.put("b", unused(exclusive("y")))
    before = found.shape_of("a")
    found.put("a", None)
    assert found.divisible == 0
    assert "" not in found.by_label["x"]
    found.put("c", unused(in_rack("1")))
    assert found.shape_of("c").index == before.index
    assert found.by_label["rack"] == {"1": 1 << before.index}
    assert list(bits(found.open)) == [0, 1]


def test_a_resource_that_has_become_something_else_is_of_another_shape() -> None:
    found, heard = inventory()
    found.put("a", unused(exclusive("x")))
    found.put("a", unused(exclusive("y")))
    assert heard == [("x", True), ("x", False), ("y", True)]
    assert list(found.names()) == ["a"]
    assert found.losses == 1


def test_the_longest_free_of_a_shape_comes_first() -> None:
    found, _ = inventory()
    for name in "abc":
        found.put(name, unused(exclusive()))
    found.take("a", Share(0, 0, ()), 0)
    assert not found.is_open("a")
    found.put("a", unused(exclusive()))
    assert list(found.shape_of("a").free) == ["b", "c", "a"]


def test_what_is_shut_is_not_open_until_it_is_opened_and_may_be() -> None:
    found, _ = inventory()
    found.put("a", unused(exclusive()))
    found.put("b", Standing(Room.whole(exclusive()), "declined"))
    found.shut("a")
    assert found.open == 0
    found.open_up("b")
    assert not found.is_open("b")
    found.open_up("a")
    assert found.is_open("a")


def test_a_shared_resource_is_open_as_long_as_an_instance_is_left() -> None:
    found, _ = inventory()
    found.put("d", unused(divisible(8, instances=2)))
    found.take("d", Share(3, 0, ()), 0)
    assert list(found.shape_of("d").roomy) == [(5, "d")]
    found.take("d", Share(1, 0, ()), 0)
    assert found.open == 0


def test_a_resource_ends_when_the_last_of_its_holders_does_if_all_have_said() -> None:
    found, _ = inventory()
    found.put("d", unused(divisible(8)))
    one = Share(1, 0, ())
    found.take("d", one, 500)
    found.take("d", one, 300)
    assert found.ends_ms("d") == 500
    assert list(found.shape_of("d").ends) == [(500, "d")]
    found.take("d", one, 0)
    assert found.ends_ms("d") == 0
    found.take("d", one, 900)
    assert found.ends_ms("d") == 0
    assert list(found.shape_of("d").ends) == []


def test_versions_rise_with_what_they_count_only() -> None:
    found, _ = inventory()

    def counts() -> tuple[int, int, int]:
        return found.version, found.registered, found.losses

    found.put("a", unused(exclusive()))
    assert counts() == (1, 1, 0)
    found.take("a", Share(0, 0, ()), 0)
    found.put("a", Standing(Room.whole(exclusive()), "declined"))
    assert counts() == (1, 1, 0)
    found.put("a", Standing(Room.whole(exclusive()), "lost", can_open=False))
    assert counts() == (2, 1, 0)
    assert found.shape_of("a").away == {"a"}
    found.put("a", None)
    assert counts() == (3, 2, 1)
    assert found.get("a") is None

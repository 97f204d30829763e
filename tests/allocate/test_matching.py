import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import Division, Gpu, GpuDemand, HostDemand, OsDemand, Spec
from hwprovisioner.allocate.matching import assign_cards, card_satisfies, mismatch
from hwprovisioner.allocate.notation import Bounds, VersionBounds

BOX = Spec(
    name="box",
    kind="physical-server",
    cpus=8,
    memory=16,
    gpus=(Gpu("nvidia", "rtx4000", 8), Gpu("nvidia", "a100", 40)),
    family="linux",
    distro="ubuntu",
    version="22.04.3",
    labels=frozenset({("rack", "7"), ("fast", "")}),
)
BARE = Spec(name="bare")
A100 = GpuDemand(model="a100")


@pytest.mark.parametrize(
    "demand",
    [
        HostDemand(),
        HostDemand(resource="box"),
        HostDemand(kinds=frozenset({"container", "physical-server"})),
        HostDemand(cpus=Bounds(8), memory=Bounds(4, 16)),
        HostDemand(gpus=(GpuDemand(), A100)),
        HostDemand(gpus=(GpuDemand("nvidia", "", Bounds(40)), GpuDemand())),
        HostDemand(os=OsDemand("linux", "ubuntu", VersionBounds("22.04", "22.04"))),
        HostDemand(labels=(("fast", None), ("rack", None), ("rack", "7"), ("fast", ""))),
    ],
)
def test_what_a_resource_is_satisfies(demand: HostDemand) -> None:
    assert mismatch(demand, BOX) == ""


@pytest.mark.parametrize(
    ("demand", "spec", "reason"),
    [
        (HostDemand(resource="x"), BOX, "resource: is box, wants x"),
        (
            HostDemand(kinds=frozenset({"edge-device", "container"})),
            BOX,
            "kind: is physical-server, wants container or edge-device",
        ),
        (HostDemand(cpus=Bounds(16)), BOX, "cpus: has 8, wants at least 16"),
        (HostDemand(cpus=Bounds(None, 4)), BOX, "cpus: has 8, wants at most 4"),
        (HostDemand(cpus=Bounds(1)), BARE, "cpus: has an unknown number, wants at least 1"),
        (HostDemand(memory=Bounds(32)), BOX, "memory: has 16 B, wants at least 32 B"),
        (
            HostDemand(memory=Bounds(32, 32)),
            BARE,
            "memory: has an unknown amount, wants exactly 32 B",
        ),
        (HostDemand(gpus=(A100,)), BARE, "gpus: has no a100 card"),
        (
            HostDemand(gpus=(GpuDemand("amd", "", Bounds(8)),)),
            BOX,
            "gpus: has no amd card with at least 8 B",
        ),
        (
            HostDemand(gpus=(A100, A100)),
            BOX,
            "gpus: has 2 cards, too few that fit for the 2 wanted",
        ),
        (HostDemand(os=OsDemand("windows")), BOX, "os.family: is linux, wants windows"),
        (HostDemand(os=OsDemand("", "debian")), BOX, "os.distro: is ubuntu, wants debian"),
        (
            HostDemand(os=OsDemand(version=VersionBounds("24.04"))),
            BARE,
            "os.version: is not known, wants at least 24.04",
        ),
        (HostDemand(labels=(("slow", None),)), BOX, "labels: lacks slow"),
        (HostDemand(labels=(("rack", "8"),)), BOX, "labels: lacks rack=8"),
    ],
)
def test_the_first_reason_says_what_is_and_what_is_wanted(
    demand: HostDemand, spec: Spec, reason: str
) -> None:
    assert mismatch(demand, spec) == reason


def test_of_several_reasons_the_first_is_told() -> None:
    demand = HostDemand(cpus=Bounds(99), memory=Bounds(99), labels=(("slow", None),))
    assert mismatch(demand, BOX) == "labels: lacks slow"


def test_a_divisible_resource_only_must_not_have_too_little() -> None:
    divisible = Spec(name="hv", cpus=64, memory=256, division=Division(10, 1, 0))
    assert not mismatch(HostDemand(cpus=Bounds(4, 4), memory=Bounds(None, 8)), divisible)
    assert mismatch(HostDemand(cpus=Bounds(65)), divisible)


CARDS = st.lists(
    st.builds(Gpu, st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from([8, 16])),
    max_size=5,
)
DEMANDS = st.lists(
    st.builds(
        GpuDemand,
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["", "x"]),
        st.sampled_from([Bounds(), Bounds(16), Bounds(None, 8)]),
    ),
    max_size=5,
)


@given(demands=DEMANDS, cards=CARDS, data=st.data())
def test_cards_are_assigned_whenever_there_is_a_way(
    demands: list[GpuDemand], cards: list[Gpu], data: st.DataObject
) -> None:
    free = data.draw(st.sets(st.sampled_from(range(len(cards))))) if cards else set()

    def serves(chosen: tuple[int, ...]) -> bool:
        return all(card_satisfies(d, cards[c]) for d, c in zip(demands, chosen, strict=True))

    ways = [way for way in itertools.permutations(free, len(demands)) if serves(way)]
    found = assign_cards(demands, cards, free)
    if found is None:
        assert not ways
    else:
        assert found in {tuple(sorted(way)) for way in ways}

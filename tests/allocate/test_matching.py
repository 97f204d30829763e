import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import (
    ANY,
    Division,
    Gpu,
    GpuDemand,
    HostDemand,
    Makes,
    OsDemand,
    Provisioning,
    Spec,
    System,
)
from hwprovisioner.allocate.matching import is_by_name, mismatch, name_mismatch, why_not
from hwprovisioner.allocate.notation import Bounds, VersionBounds

BOX = Spec(
    kind="physical-server",
    cpus=8,
    memory=16,
    gpus=(Gpu("nvidia", "rtx4000", 8), Gpu("nvidia", "a100", 40)),
    system=System("linux", "ubuntu", "22.04.3"),
    labels=frozenset({("rack", "7"), ("fast", "")}),
)
BARE = Spec()
CLOUD = Spec(
    kind="cloud-instance",
    system=System("linux", "debian", "12"),
    makes=Makes(
        images=frozenset({"ubuntu-22"}),
        systems=(System("linux", "ubuntu", "22.04"), System("windows", "", "11")),
        disk=2**30,
        parameters=frozenset({"region", "spot"}),
    ),
)
A100 = GpuDemand(model="a100")


def made(image: str = "", disk: Bounds = ANY, *parameters: str) -> HostDemand:
    return HostDemand(provisioning=Provisioning(image, disk, frozenset(parameters)))


@pytest.mark.parametrize(
    "demand",
    [
        HostDemand(),
        HostDemand(resource="another"),
        HostDemand(not_resources=frozenset({"box"})),
        HostDemand(where="resource.cpus >= 8"),
        HostDemand(where="resource.name == 'another'"),
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
        (made(), BOX, "provisioning: is as it is, cannot be made"),
        (made("ubuntu-20"), CLOUD, "provisioning: cannot make image ubuntu-20"),
        (
            made("", Bounds(2**31)),
            CLOUD,
            "provisioning: makes disks of up to 1 GiB, wants at least 2 GiB",
        ),
        (made("", Bounds(1)), Spec(makes=Makes()), "provisioning: a disk cannot be asked for"),
        (
            made("", Bounds(), "zone", "spot"),
            CLOUD,
            "provisioning: does not know parameter zone",
        ),
        (
            made("", Bounds(), *"abcdefgh"),
            CLOUD,
            "provisioning: does not know parameter a, b, c, d, e and 3 more",
        ),
        (
            HostDemand(os=OsDemand("windows", "ubuntu")),
            CLOUD,
            "os.family: is linux, wants windows, nor can it be made so",
        ),
        (HostDemand(where="resource.cpus > 8"), BOX, "where: is not true of it"),
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
    divisible = Spec(cpus=64, memory=256, division=Division(10, 1, 0))
    assert not mismatch(HostDemand(cpus=Bounds(4, 4), memory=Bounds(None, 8)), divisible)
    assert mismatch(HostDemand(cpus=Bounds(65)), divisible)


@pytest.mark.parametrize(
    "demand",
    [
        HostDemand(os=OsDemand("linux", "debian")),
        HostDemand(os=OsDemand("linux", "ubuntu", VersionBounds("22"))),
        HostDemand(os=OsDemand("windows")),
        made(),
        made("ubuntu-22", Bounds(2**30), "region", "spot"),
        made("", Bounds(None, 2**20)),
    ],
)
def test_what_a_resource_can_be_made_into_satisfies(demand: HostDemand) -> None:
    assert mismatch(demand, CLOUD) == ""


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (HostDemand(resource="box"), ""),
        (HostDemand(resource="x"), "resource: is box, wants x"),
        (HostDemand(not_resources=frozenset({"box", "x"})), "not_resources: box is one of them"),
        (HostDemand(not_resources=frozenset({"x"})), ""),
        (HostDemand(where="resource.name == 'box'"), ""),
        (HostDemand(where="resource.name == 'x'"), "where: is not true of it"),
    ],
)
def test_a_name_is_looked_at_only_by_name(option: HostDemand, reason: str) -> None:
    assert is_by_name(option)
    assert name_mismatch(option, BOX, "box") == reason
    assert mismatch(option, BOX) == ""
    assert why_not(option, BOX, "box") == reason


@pytest.mark.parametrize(
    "option", [HostDemand(), HostDemand(gpus=(A100,)), HostDemand(where="resource.cpus > 8")]
)
def test_what_does_not_name_anything_is_not_by_name(option: HostDemand) -> None:
    assert not is_by_name(option)
    assert name_mismatch(option, BOX, "box") == ""


def test_that_another_resource_is_wanted_is_told_first_and_an_expression_last() -> None:
    lacking = HostDemand(resource="x", cpus=Bounds(99), where="resource.name == 'x'")
    assert why_not(lacking, BOX, "box") == "resource: is box, wants x"
    lacking = HostDemand(cpus=Bounds(99), where="resource.name == 'x'")
    assert why_not(lacking, BOX, "box") == "cpus: has 8, wants at least 99"


def test_an_expression_that_no_longer_compiles_is_true_of_nothing() -> None:
    stored = HostDemand(where="resource.cpus >>> 1")
    assert not is_by_name(stored)
    assert mismatch(stored, BOX).startswith("where: ")
    assert why_not(stored, BOX, "box") == mismatch(stored, BOX)


def test_one_alternative_that_fits_is_enough() -> None:
    demand = HostDemand(alternatives=(HostDemand(cpus=Bounds(99)), HostDemand(resource="box")))
    assert why_not(demand, BOX, "box") == ""


def test_each_alternative_has_its_reason_and_equal_ones_are_told_once() -> None:
    many, few = HostDemand(cpus=Bounds(99)), HostDemand(memory=Bounds(99))
    assert why_not(HostDemand(alternatives=(many, few, many)), BOX, "box") == (
        "cpus: has 8, wants at least 99; or memory: has 16 B, wants at least 99 B"
    )


def test_however_many_alternatives_there_are_the_reason_stays_short() -> None:
    options = tuple(HostDemand(labels=((letter * 60, "v" * 128),)) for letter in "abcdefgh")
    reason = why_not(HostDemand(alternatives=options), BOX, "box")
    assert len(reason) == 400
    assert reason.endswith("…")


LABELS = st.lists(
    st.tuples(st.sampled_from(["rack", "fast", "slow"]), st.sampled_from([None, "7", ""])),
    max_size=4,
)
SORTS = st.builds(GpuDemand, st.sampled_from(["", "nvidia", "amd"]), st.sampled_from(["", "a100"]))


@given(labels=LABELS, gpus=st.lists(SORTS, max_size=3), data=st.data())
def test_whether_it_fits_does_not_depend_on_any_order(
    labels: list[tuple[str, str | None]], gpus: list[GpuDemand], data: st.DataObject
) -> None:
    demand = HostDemand(labels=tuple(labels), gpus=tuple(gpus))
    shuffled = HostDemand(
        labels=tuple(data.draw(st.permutations(labels))),
        gpus=tuple(data.draw(st.permutations(gpus))),
    )
    box = Spec(gpus=tuple(data.draw(st.permutations(BOX.gpus))), labels=BOX.labels)
    assert bool(mismatch(demand, BOX)) == bool(mismatch(shuffled, box))

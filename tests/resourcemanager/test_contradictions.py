from dataclasses import replace

import pytest

from hwprovisioner.resourcemanager import Division, Facts, Gpu, Kind, OperatingSystem, Resource
from hwprovisioner.resourcemanager.contradictions import contradictions

GIB = 1024**3
RTX = Gpu("nvidia", "rtx4000", 8 * GIB)
T4 = Gpu("nvidia", "t4")


def resource(declared: Facts, *, divisible: bool = False) -> Resource:
    return Resource(
        "box",
        Kind.PHYSICAL_SERVER,
        "ssh",
        declared,
        division=Division(2) if divisible else None,
        lines={"cpu": 12, "mem": 13, "gpus": 14},
    )


@pytest.mark.parametrize(
    ("says", "has"),
    [
        (Facts(), Facts(4, GIB, (RTX,), OperatingSystem("linux"))),
        (Facts(4, GIB, (RTX,), OperatingSystem("linux")), Facts()),
        # The kernel keeps some for itself.
        (Facts(memory_bytes=8 * GIB), Facts(memory_bytes=int(7.6 * GIB))),
        (Facts(gpus=(Gpu("nvidia"), RTX)), Facts(gpus=(Gpu("NVIDIA", "RTX4000"), T4))),
        (Facts(os=OperatingSystem("", "ubuntu", "18.04")), Facts(os=OperatingSystem("linux"))),
        (
            Facts(os=OperatingSystem("Linux", "Ubuntu", "18.04")),
            Facts(os=OperatingSystem("linux", "ubuntu", "18.04.6")),
        ),
    ],
)
def test_what_is_not_said_or_not_known_contradicts_nothing(says: Facts, has: Facts) -> None:
    assert contradictions(resource(says), has) == []


@pytest.mark.parametrize(
    ("says", "has", "line"),
    [
        (Facts(8), Facts(4), "cpu: 8 (line 12), the machine has 4"),
        (Facts(4), Facts(8), "cpu: 4 (line 12), the machine has 8"),
        (
            Facts(memory_bytes=8 * GIB),
            Facts(memory_bytes=4 * GIB),
            "mem: 8.0GiB (line 13), the machine has 4.0GiB",
        ),
        (
            Facts(gpus=(RTX, RTX)),
            Facts(gpus=(RTX,)),
            "gpus: [nvidia rtx4000, nvidia rtx4000] (line 14), the machine has [nvidia rtx4000]",
        ),
        (
            Facts(gpus=(RTX,)),
            Facts(gpus=(T4,)),
            "gpus: [nvidia rtx4000] (line 14), the machine has [nvidia t4]",
        ),
        (Facts(gpus=()), Facts(gpus=(Gpu(),)), "gpus: [] (line 14), the machine has [?]"),
        (
            Facts(os=OperatingSystem("linux", "ubuntu", "18.04")),
            Facts(os=OperatingSystem("linux", "ubuntu", "22.04")),
            "os: linux ubuntu 18.04, the machine has linux ubuntu 22.04",
        ),
        (
            Facts(os=OperatingSystem("", "ubuntu")),
            Facts(os=OperatingSystem("linux", "debian")),
            "os: ubuntu, the machine has linux debian",
        ),
    ],
)
def test_a_contradiction_names_both(says: Facts, has: Facts, line: str) -> None:
    assert contradictions(resource(says), has) == [f"resources.yml says {line}"]


def test_every_contradiction_is_told() -> None:
    assert len(contradictions(resource(Facts(8, 8 * GIB, ())), Facts(4, GIB, (RTX,)))) == 3


def test_limits_may_be_less_than_there_is() -> None:
    limits = resource(Facts(8, 8 * GIB), divisible=True)
    assert contradictions(limits, Facts(64, 64 * GIB)) == []
    [line] = contradictions(limits, Facts(4, 8 * GIB))
    assert line == "resources.yml says limits.cpu: 8 (line 12), the machine has 4"


def test_the_order_of_cards_says_nothing() -> None:
    assert contradictions(resource(Facts(gpus=(T4, RTX))), Facts(gpus=(RTX, T4))) == []
    moved = replace(resource(Facts(8)), lines={"cpu": 99})
    assert moved == resource(Facts(8))

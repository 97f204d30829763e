from dataclasses import replace

import pytest

from hwprovisioner.resourcemanager import Division, Facts, Gpu, Kind, OperatingSystem, Resource
from hwprovisioner.resourcemanager.config import parse_config
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
        lines={"cpu": 12, "mem": 13, "gpus": 14, "os.kernel": 16},
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
            Facts(os=OperatingSystem("linux", kernel="5.15")),
            Facts(os=OperatingSystem("linux", kernel="5.15.0-91-generic")),
        ),
        (Facts(os=OperatingSystem(kernel="5.15")), Facts(os=OperatingSystem("linux"))),
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
            Facts(os=OperatingSystem(kernel="5.1")),
            Facts(os=OperatingSystem("linux", "ubuntu", "22.04", "5.15.0-91-generic")),
            "os.kernel: 5.1 (line 16), the machine has 5.15.0-91-generic",
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


def test_what_is_declared_of_a_system_keeps_the_kernel_that_was_found() -> None:
    found = Facts(os=OperatingSystem("linux", "debian", "12", "6.1.0-18-amd64"))
    declared = Facts(os=OperatingSystem(distro="ubuntu"))
    assert declared.over(found).os == OperatingSystem(distro="ubuntu", kernel="6.1.0-18-amd64")
    assert declared.over(Facts()) == declared
    own = Facts(os=OperatingSystem(kernel="5.15"))
    assert own.over(found) == own


def test_the_line_of_a_declared_kernel_is_told() -> None:
    text = """
resources:
  static:
    box:
      driver: local
      os:
        distro: debian
        kernel: 5.10
"""
    box = parse_config(text).resources["box"]
    found = Facts(os=OperatingSystem("linux", "debian", "12", "5.4.0-1"))
    line = "resources.yml says os.kernel: 5.10 (line 8), the machine has 5.4.0-1"
    assert contradictions(box, found) == [line]

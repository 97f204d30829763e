"""What a pool has, whom it serves, and what fits beside what."""

from dataclasses import replace

import pytest

from hwprovisioner.resourcemanager import Division, Facts, Kind, OperatingSystem, Resource, Share
from hwprovisioner.resourcemanager.model import Instance, WarmPool
from hwprovisioner.resourcemanager.room import Room
from hwprovisioner.resourcemanager.sample import made_by, sample, stands_in

POOL = WarmPool(1, 2, 60.0, Share(2, 1024), image="debian", disk_bytes=10)
RACK = Resource(
    "rack",
    Kind.VIRTUAL_MACHINE,
    "qemu",
    Facts(os=OperatingSystem("linux", "debian", "12")),
    division=Division(4),
    pool=POOL,
)
ASKED = Instance("rack.7", Share(2, 1024), image="debian")


def pooled(resource: Resource = RACK) -> Instance:
    found = sample(resource, "rack.pool-1")
    assert found is not None
    return found


@pytest.mark.parametrize("disk", [0, 9, 10])
def test_what_is_just_that_or_less_disk_is_served(disk: int) -> None:
    assert stands_in(RACK, pooled(), replace(ASKED, disk_bytes=disk))


@pytest.mark.parametrize(
    "asked",
    [
        replace(ASKED, disk_bytes=11),
        replace(ASKED, image="ubuntu"),
        replace(ASKED, image=""),
        replace(ASKED, share=Share(3, 1024)),
        replace(ASKED, share=Share(2, 1024, (0,))),
        replace(ASKED, parameters={"region": "eu"}),
        replace(ASKED, os=OperatingSystem("linux")),
    ],
)
def test_what_is_anything_else_is_not(asked: Instance) -> None:
    assert not stands_in(RACK, pooled(), asked)


def test_the_system_that_it_has_anyway_may_be_asked_for() -> None:
    rack = replace(RACK, pool=replace(POOL, image=""))
    asked = replace(ASKED, image="")
    assert stands_in(rack, pooled(rack), replace(asked, os=OperatingSystem("linux", "debian")))
    assert not stands_in(rack, pooled(rack), replace(asked, os=OperatingSystem("", "", "11")))


def test_without_a_pool_there_is_none() -> None:
    assert sample(replace(RACK, pool=None)) is None


def test_what_makes_instances_other_ones_is_told_apart() -> None:
    assert made_by(RACK) == made_by(replace(RACK, pool=None, labels={"a": ""}, check_every_s=1.0))
    assert made_by(RACK) != made_by(replace(RACK, driver="docker"))


def test_room_is_instances_processors_and_memory() -> None:
    room = Room(2, cpus=4, memory_bytes=10)
    assert room.has([])
    assert room.has([Share(2, 5), Share(2, 5)])
    assert not room.has([Share(), Share(), Share()])
    assert not room.has([Share(5)])
    assert not room.has([Share(1, 6), Share(1, 5)])
    assert Room(1).has([Share(1_000, 2**50)])


def test_room_is_what_the_file_says_else_what_was_found() -> None:
    found = Facts(8, 99)
    assert Room.of(replace(RACK, declared=Facts(4)), found) == Room(4, 4, 99)
    assert Room.of(replace(RACK, division=None), found) == Room(1, 8, 99)

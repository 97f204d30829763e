"""Machines that are shared out: to whom, how much, and what is kept of them."""

import pytest

from hwprovisioner.allocate.demand import Gpu, GpuDemand, HostDemand
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning.deciding import Pass
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.walk import Walk
from hwprovisioner.allocate.room import Share
from support.planning import (
    SmallLab,
    cpus,
    divisible,
    exclusive,
    with_labels,
)

Y = with_labels("y")


def named(name: str, number: int | None = None) -> HostDemand:
    return HostDemand(resource=name, cpus=Bounds(number))


def test_a_request_that_names_a_shared_machine_is_not_starved_by_small_ones() -> None:
    lab = SmallLab(d=divisible(8))
    lab.use("d", 4)
    lab.ask("large", named("d", 8))
    lab.ask("small", cpus(1))
    assert lab.granted() == {}
    assert lab.kept == {"large": {"d"}}


def test_a_divisible_resource_is_shared_until_it_is_used_up() -> None:
    lab = SmallLab(d=divisible(8, instances=3))
    for request, number in (("one", 4), ("two", 3), ("three", 2), ("four", 1)):
        lab.ask(request, cpus(number))
    grants = lab.decide()
    assert [grant.request for grant in grants] == ["one", "two"]
    assert grants[1].hosts["h0"].share == Share(3, 0, ())


def test_a_divisible_resource_is_not_filled_up_before_a_large_request() -> None:
    lab = SmallLab(d=divisible(8), e=divisible(4))
    lab.use("d", 4)
    lab.use("e", 2)
    lab.ask("large", cpus(8))
    for number in range(3):
        lab.ask(f"small{number}", cpus(1))
    assert lab.granted() == {"small0": ["e"], "small1": ["e"]}
    lab.free("d")
    assert lab.granted() == {"large": ["d"]}


def test_cards_are_handed_out_and_taken_back() -> None:
    cards = [Gpu("", "big", 2), Gpu("", "small", 1), Gpu("", "small", 1)]
    lab = SmallLab(d=divisible(8, gpus=cards))
    lab.ask("one", HostDemand(gpus=(GpuDemand(), GpuDemand())))
    lab.ask("two", HostDemand(gpus=(GpuDemand("", "small"),)))
    [one] = lab.decide()
    assert one.hosts["h0"].share.gpus == (1, 2)
    lab.free("d")
    [two] = lab.decide()
    assert two.hosts["h0"].share.gpus == (1,)


def test_two_hosts_of_a_set_may_share_one_machine_behind_another_set() -> None:
    lab = SmallLab(a=exclusive("x", cpus=9), b=divisible(8, labels="y"), c=divisible(8, labels="y"))
    lab.use("a")
    lab.use("b", 8)
    lab.use("c", 8)
    eight, four = (
        HostDemand(labels=Y.labels, cpus=Bounds(8)),
        HostDemand(labels=Y.labels, cpus=Bounds(4)),
    )
    lab.ask("pair", four, four)
    lab.granted()
    lab.ask("lone", eight, user="later")
    lab.free("b")
    assert lab.granted() == {"pair": ["b", "b"]}


def test_of_many_that_are_too_large_for_what_is_free_only_the_first_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = SmallLab(shared=divisible(16, instances=16))
    lab.use("shared", 15)
    lab.use("shared", 1)
    for number in range(50):
        lab.ask(f"large{number}", cpus(2 + number % 10), priority=1)
    lab.ask("small", cpus(1))
    assert lab.granted() == {}
    lab.planner.remove("large0")
    looked: list[str] = []
    visit = Pass._visit

    def spied(self: Pass, request: Request, walk: Walk) -> bool:
        looked.append(request.id)
        return visit(self, request, walk)

    monkeypatch.setattr(Pass, "_visit", spied)
    lab.used["shared"].pop()
    lab.stand("shared")
    assert lab.granted() == {}
    assert lab.kept == {"large1": {"shared"}}
    assert looked == ["large1"]

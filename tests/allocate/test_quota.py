import functools
import operator
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import GpuDemand, HostDemand
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.policy import NO_QUOTA, Label, Quota
from hwprovisioner.allocate.quota import NOTHING, Usage, least_usage, never, over, usage_of

JETSON = ("jetson", None)
RACK: Label = ("rack", None)
RACK_A1 = ("rack", "a1")
COUNTED: frozenset[Label] = frozenset({JETSON, RACK, RACK_A1})

Placed = tuple[int, int, Sequence[tuple[str, str]]]
HOSTS = st.tuples(
    st.integers(0, 64),
    st.integers(0, 4),
    st.dictionaries(st.sampled_from(["jetson", "rack", "bench"]), st.sampled_from(["", "a1"])).map(
        lambda labels: tuple(labels.items())
    ),
)
ALLOCATIONS = st.lists(st.lists(HOSTS, max_size=4), max_size=6)


def cards(number: int) -> tuple[GpuDemand, ...]:
    return (GpuDemand(),) * number


def total(usages: Sequence[Usage]) -> Usage:
    return functools.reduce(operator.add, usages, NOTHING)


def test_an_allocation_uses_what_its_hosts_have() -> None:
    placed = [
        (8, 2, [("jetson", ""), ("rack", "a1")]),
        (4, 0, [("rack", "a2"), ("bench", "")]),
    ]
    assert usage_of(placed, COUNTED) == Usage(1, 12, 2, {JETSON: 1, RACK: 2, RACK_A1: 1})
    assert usage_of(placed, {RACK_A1}) == Usage(1, 12, 2, {RACK_A1: 1})
    assert usage_of(placed, frozenset()) == Usage(1, 12, 2)


@given(ALLOCATIONS, st.randoms(use_true_random=False))
def test_usage_is_the_sum_of_what_is_there_in_whatever_order_it_came_and_went(
    allocations: list[list[Placed]], random: object
) -> None:
    usages = [usage_of(placed, COUNTED) for placed in allocations]
    shuffled = list(usages)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    kept, gone = shuffled[::2], shuffled[1::2]
    everything = total(usages)
    hosts = [host for placed in allocations for host in placed]
    assert everything == total(shuffled)
    assert everything.cpus == sum(cpus for cpus, _, _ in hosts)
    assert everything.hosts.get(RACK_A1, 0) == sum(("rack", "a1") in host[2] for host in hosts)
    assert everything - total(gone) == total(kept)
    assert everything - everything == NOTHING


def test_adding_changes_neither_part() -> None:
    one, two = Usage(hosts={JETSON: 1}), Usage(hosts={JETSON: 2, RACK: 1})
    assert (one + two).hosts == {JETSON: 3, RACK: 1}
    assert (two - one).hosts == {JETSON: 1, RACK: 1}
    assert (one.hosts, two.hosts) == ({JETSON: 1}, {JETSON: 2, RACK: 1})


@pytest.mark.parametrize(
    ("quota", "wanted", "words"),
    [
        (NO_QUOTA, Usage(1, 1000, 100, {JETSON: 9}), ""),
        (Quota(3, 12, 4, ((JETSON, 2),)), Usage(1, 4, 2, {JETSON: 1}), ""),
        (Quota(allocations=2), Usage(1), "allocations: 2 of 2 in use, wants 1 more"),
        (Quota(cpus=11), Usage(1, 4), "cpus: 8 of 11 in use, wants 4 more"),
        (Quota(gpus=2), Usage(1, 4, 1), "gpus: 2 of 2 in use, wants 1 more"),
        (Quota(gpus=2), Usage(1, 4), ""),
        (
            Quota(hosts=((JETSON, 1), (RACK, 9))),
            Usage(1, 4, 0, {JETSON: 1}),
            "hosts with jetson: 1 of 1 in use, wants 1 more",
        ),
        (
            Quota(hosts=((RACK_A1, 1),)),
            Usage(1, 4, 0, {RACK_A1: 2}),
            "hosts with rack=a1: 0 of 1 in use, wants 2 more",
        ),
        (Quota(hosts=((RACK_A1, 0),)), Usage(1, 4, 0, {JETSON: 2}), ""),
    ],
)
def test_over_says_what_more_does_not_fit(quota: Quota, wanted: Usage, words: str) -> None:
    used = Usage(2, 8, 2, {JETSON: 1, RACK: 1})
    assert over(quota, used, wanted) == words


def test_after_a_limit_was_lowered_only_what_uses_more_of_it_waits() -> None:
    used = Usage(5, 8, 6, {JETSON: 3})
    quota = Quota(gpus=4, hosts=((JETSON, 2),))
    assert over(quota, used, Usage(1, 4)) == ""
    assert over(quota, used, Usage(1, 4, 1)) == "gpus: 6 of 4 in use, wants 1 more"


@given(st.lists(HOSTS, min_size=1, max_size=4), st.lists(HOSTS, max_size=4), st.integers(0, 100))
def test_what_fits_is_within_the_quota_afterwards(
    placed: list[Placed], more: list[Placed], limit: int
) -> None:
    quota = Quota(limit % 3, limit, limit % 7, ((JETSON, limit % 2), (RACK_A1, limit % 5)))
    used, wanted = usage_of(placed, COUNTED), usage_of(more, COUNTED)
    after = used + wanted

    def passed(limit: int | None, before: int, now: int) -> bool:
        return limit is not None and now > before and now > limit

    is_over = (
        passed(quota.allocations, used.allocations, after.allocations)
        or passed(quota.cpus, used.cpus, after.cpus)
        or passed(quota.gpus, used.gpus, after.gpus)
        or any(
            passed(most, used.hosts.get(label, 0), after.hosts.get(label, 0))
            for label, most in quota.hosts
        )
    )
    assert bool(over(quota, used, wanted)) == is_over


@pytest.mark.parametrize(
    ("quota", "whose", "words"),
    [
        (NO_QUOTA, "alice", ""),
        (Quota(1, 16, 5, ((JETSON, 2),)), "alice", ""),
        (Quota(gpus=4), "alice", "gpus: wants 5, the quota of alice is 4"),
        (Quota(cpus=15), "team kernel", "cpus: wants 16, the quota of team kernel is 15"),
        (Quota(0), "alice", "allocations: wants 1, the quota of alice is 0"),
        (
            Quota(hosts=((JETSON, 1),)),
            "alice",
            "hosts with jetson: wants 2, the quota of alice is 1",
        ),
    ],
)
def test_never_says_what_the_quota_could_not_allow(quota: Quota, whose: str, words: str) -> None:
    assert never(quota, Usage(1, 16, 5, {JETSON: 2}), whose) == words


def test_the_least_is_what_the_demands_insist_on() -> None:
    hosts = {
        "db": HostDemand(cpus=Bounds(8), gpus=cards(2)),
        "edge": HostDemand(cpus=Bounds(None, 4), labels=(JETSON, RACK_A1)),
        "any": HostDemand(labels=(("bench", None), RACK)),
    }
    assert least_usage(hosts, COUNTED) == Usage(1, 8, 2, {JETSON: 1, RACK: 2, RACK_A1: 1})
    assert least_usage(hosts, frozenset()) == Usage(1, 8, 2)


def test_of_alternatives_the_least_of_each_counts() -> None:
    demand = HostDemand(
        alternatives=(
            HostDemand(cpus=Bounds(8), gpus=cards(1), labels=(JETSON, RACK_A1)),
            HostDemand(cpus=Bounds(4), gpus=cards(2), labels=(RACK,)),
        )
    )
    assert least_usage({"a": demand, "b": demand}, COUNTED) == Usage(1, 8, 2, {RACK: 2})


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.booleans()), min_size=1, max_size=4)
)
def test_whatever_alternative_is_granted_uses_at_least_the_least(
    options: list[tuple[int, int, bool]],
) -> None:
    alternatives = tuple(
        HostDemand(cpus=Bounds(cpus), gpus=cards(gpus), labels=(RACK_A1,) if in_rack else (JETSON,))
        for cpus, gpus, in_rack in options
    )
    least = least_usage({"h": HostDemand(alternatives=alternatives)}, COUNTED)
    for cpus, gpus, in_rack in options:
        label = ("rack", "a1") if in_rack else ("jetson", "")
        granted = usage_of([(cpus, gpus, [label])], COUNTED)
        rest = granted - least
        assert min(rest.allocations, rest.cpus, rest.gpus, *rest.hosts.values(), 0) == 0

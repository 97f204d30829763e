"""What is in use of a quota, whether more fits, and whether it ever could. Pure.

Whoever keeps a `Usage` for each user and team adds that of an allocation when it is granted and
takes it off when its hardware is free again; nothing is ever counted anew. Only labels that some
quota limits are counted (`Policy.counted`), so that a lab without such quotas pays nothing for
them. After a change of these labels, what was counted before is of no use.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.policy import Label, Quota

_Row = tuple[str, int, int, int]
"""What is limited, the limit, what is in use, and what is wanted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is in use."""

    allocations: int = 0
    cpus: int = 0
    gpus: int = 0
    hosts: Mapping[Label, int] = field(default_factory=dict)
    """Hosts by label, none of them 0; not to be changed."""

    def __add__(self, more: "Usage") -> "Usage":
        hosts = _sum(self.hosts, more.hosts, 1) if more.hosts else self.hosts
        return Usage(
            self.allocations + more.allocations,
            self.cpus + more.cpus,
            self.gpus + more.gpus,
            hosts,
        )

    def __sub__(self, less: "Usage") -> "Usage":
        hosts = _sum(self.hosts, less.hosts, -1) if less.hosts else self.hosts
        return Usage(
            self.allocations - less.allocations,
            self.cpus - less.cpus,
            self.gpus - less.gpus,
            hosts,
        )


NOTHING = Usage()


def usage_of(
    placed: Iterable[tuple[int, int, Iterable[tuple[str, str]]]], counted: Collection[Label]
) -> Usage:
    """Return what one allocation uses.

    Args:
        placed: cpus and gpus that each host has, and the labels of its resource.
        counted: the labels to count.
    """
    cpus = gpus = 0
    hosts: dict[Label, int] = {}
    for host_cpus, host_gpus, labels in placed:
        cpus += host_cpus
        gpus += host_gpus
        if counted:
            for label in _counted_of(labels, counted):
                hosts[label] = hosts.get(label, 0) + 1
    return Usage(1, cpus, gpus, hosts)


def least_usage(hosts: Mapping[str, HostDemand], counted: Collection[Label]) -> Usage:
    """Return what an allocation uses at least, whatever is granted for its demands."""
    total = Usage(allocations=1)
    for demand in hosts.values():
        total += _least_of_host(demand, counted)
    return total


def over(quota: Quota, used: Usage, wanted: Usage) -> str:
    """Return the first limit that is passed if more is granted, empty if none is.

    What is in use may be above a limit that was lowered; only what uses more of it has to wait.
    """
    for what, limit, in_use, more in _rows(quota, used, wanted):
        if more > 0 and in_use + more > limit:
            return f"{what}: {in_use} of {limit} in use, wants {more} more"
    return ""


def never(quota: Quota, least: Usage, whose: str) -> str:
    """Return the first limit that a request passes by itself, empty if none is.

    Args:
        quota: of a user or a team.
        least: what the request uses at least.
        whose: the user or the team, as in ``alice`` or ``team kernel``.
    """
    for what, limit, _, wanted in _rows(quota, NOTHING, least):
        if wanted > limit:
            return f"{what}: wants {wanted}, the quota of {whose} is {limit}"
    return ""


def said(label: Label) -> str:
    """Return a label as people write it."""
    name, value = label
    return name if value is None else f"{name}={value}"


def _rows(quota: Quota, used: Usage, wanted: Usage) -> Iterator[_Row]:
    if quota.allocations is not None:
        yield "allocations", quota.allocations, used.allocations, wanted.allocations
    if quota.cpus is not None:
        yield "cpus", quota.cpus, used.cpus, wanted.cpus
    if quota.gpus is not None:
        yield "gpus", quota.gpus, used.gpus, wanted.gpus
    for label, limit in quota.hosts:
        more = wanted.hosts.get(label, 0)
        if more:
            yield f"hosts with {said(label)}", limit, used.hosts.get(label, 0), more


def _counted_of(labels: Iterable[Label], counted: Collection[Label]) -> set[Label]:
    """Return what a host with some labels counts for."""
    return {
        each for name, value in labels for each in ((name, value), (name, None)) if each in counted
    }


def _least_of_host(demand: HostDemand, counted: Collection[Label]) -> Usage:
    options = demand.options
    labels = set.intersection(*(_counted_of(option.labels, counted) for option in options))
    return Usage(
        cpus=min(option.cpus.low or 0 for option in options),
        gpus=min(len(option.gpus) for option in options),
        hosts=dict.fromkeys(labels, 1),
    )


def _sum(one: Mapping[Label, int], two: Mapping[Label, int], sign: int) -> dict[Label, int]:
    total = dict(one)
    for label, number in two.items():
        total[label] = total.get(label, 0) + sign * number
        if not total[label]:
            del total[label]
    return total

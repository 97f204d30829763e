"""What users hold, have held, and may hold: the accounts that order and quotas go by."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.fair_share import (
    add_use,
    average_held,
    average_of_running,
    oldest_hour,
)
from hwprovisioner.allocate.policy import DEFAULT_POLICY, Policy
from hwprovisioner.allocate.quota import NOTHING, Usage, least_usage, never, over, usage_of

Hosts = Sequence[tuple[int, int, Iterable[tuple[str, str]]]]
"""Of each host its cpus, its cards, and the labels of its resource."""


@dataclass(frozen=True, slots=True)
class _Charge:
    """What a hold counts for, from its grant until it is clean."""

    user: str
    allocation: str
    usage: Usage


class Accounts:
    """Keeps the accounts of all users."""

    def __init__(self, policy: Policy = DEFAULT_POLICY) -> None:
        """Begin with nothing held."""
        self.take(policy)
        self._use: dict[str, dict[int, int]] = {}
        self._running: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._charges: dict[str, _Charge] = {}
        self._holds: Counter[str] = Counter()
        self._reserved: dict[str, list[str]] = {}
        self._used: dict[str, Usage] = {}
        self._used_by_team: dict[str, Usage] = {}

    def take(self, policy: Policy) -> None:
        """Go by a policy; what was charged before it has to be charged anew."""
        self.policy = policy
        self.has_quotas = policy.has_quotas
        self._counted = policy.counted()

    def clear(self) -> None:
        """Forget everything but the past."""
        self._running.clear()
        self._charges.clear()
        self._holds.clear()
        self._reserved.clear()
        self._used.clear()
        self._used_by_team.clear()

    def remember(self, use: Mapping[str, Mapping[int, int]]) -> None:
        """Take over what was used by hour, as Redis has it. All times here are steady time."""
        self._use = {user: dict(hours) for user, hours in use.items()}

    def began(self, user: str, allocation: str, hosts: int, since_ms: int) -> None:
        """Note that an allocation was granted."""
        self._running[user][allocation] = hosts, since_ms

    def ended(self, user: str, allocation: str, now_ms: int) -> None:
        """Note that an allocation has ended, or gone back to the queue."""
        if run := self._running[user].pop(allocation, None):
            hours = self._use.setdefault(user, {})
            add_use(hours, *run, now_ms)
            oldest = oldest_hour(self.policy.half_life_ms, now_ms)
            for hour in [hour for hour in hours if hour < oldest]:
                del hours[hour]

    def average(self, user: str, now_ms: int) -> float:
        """Return how many hosts a user held on average in the recent past."""
        half_life_ms = self.policy.half_life_ms
        average = 0.0
        if hours := self._use.get(user):
            average += average_held(hours, half_life_ms, now_ms)
        if running := self._running.get(user):
            average += average_of_running(running.values(), half_life_ms, now_ms)
        return average

    def weight(self, user: str) -> float:
        """Return a user's weight of the fair share."""
        return self.policy.share_of(user).weight

    def charge(self, hold: str, user: str, allocation: str, host: Hosts) -> None:
        """Charge a hold to a user."""
        usage = usage_of(host, self._counted) - Usage(allocations=1)
        if not self._holds[allocation]:
            usage += Usage(allocations=1)
        self._holds[allocation] += 1
        self._charges[hold] = _Charge(user, allocation, usage)
        self._add(user, usage)

    def discharge(self, hold: str) -> str:
        """Take a charge off; returns whose it was, "" if there was none."""
        charge = self._charges.pop(hold, None)
        if charge is None:
            return ""
        usage = charge.usage - Usage(allocations=charge.usage.allocations)
        self._holds[charge.allocation] -= 1
        if not self._holds[charge.allocation]:
            del self._holds[charge.allocation]
            usage += Usage(allocations=1)
        self._add(charge.user, usage, sign=-1)
        return charge.user

    def reserve(self, allocation: str, user: str, hosts: Hosts) -> None:
        """Charge what is about to be granted, until `settle`."""
        charges = [f"~{allocation}/{number}" for number, _ in enumerate(hosts)]
        for charge, host in zip(charges, hosts, strict=True):
            self.charge(charge, user, allocation, [host])
        self._reserved[allocation] = charges

    def settle(self, allocation: str) -> None:
        """Take off what was reserved: its holds are charged, or it is not granted after all."""
        for charge in self._reserved.pop(allocation, ()):
            self.discharge(charge)

    def over(self, user: str, hosts: Hosts) -> str:
        """Return why a user may not have some hosts now, "" if they may."""
        return self._first(user, usage_of(hosts, self._counted))

    def over_least(self, user: str, hosts: Mapping[str, HostDemand]) -> str:
        """Return why a user may not have anything that they ask for now, "" if they may."""
        return self._first(user, least_usage(hosts, self._counted))

    def never(self, user: str, hosts: Mapping[str, HostDemand]) -> str:
        """Return why a user could never have what they ask for, "" if they could."""
        policy, least = self.policy, least_usage(hosts, self._counted)
        team = policy.team_of(user)
        return never(policy.share_of(user).quota, least, user or "everyone") or (
            never(policy.team_quota(team), least, f"team {team}") if team else ""
        )

    def members(self, user: str) -> Callable[[str], bool]:
        """Return what tells who shares a quota with a user."""
        team = self.policy.team_of(user)
        return lambda other: other == user or (bool(team) and self.policy.team_of(other) == team)

    def _first(self, user: str, wanted: Usage) -> str:
        policy, team = self.policy, self.policy.team_of(user)
        used = self._used.get(user, NOTHING)
        if why := over(policy.share_of(user).quota, used, wanted):
            return f"over quota: {why}"
        if team and (
            why := over(policy.team_quota(team), self._used_by_team.get(team, NOTHING), wanted)
        ):
            return f"over the quota of team {team}: {why}"
        return ""

    def _add(self, user: str, usage: Usage, sign: int = 1) -> None:
        used = self._used.get(user, NOTHING)
        self._used[user] = used + usage if sign > 0 else used - usage
        if team := self.policy.team_of(user):
            used = self._used_by_team.get(team, NOTHING)
            self._used_by_team[team] = used + usage if sign > 0 else used - usage

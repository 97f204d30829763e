"""The lab's policy: who may have how much, and who goes first. Immutable values.

Without a policy file `DEFAULT_POLICY` holds: everything is allowed, and all users are equal. How a
file is read is in `policy_file.py`, what quotas mean in `quota.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000

LOWEST_PRIORITY = -100
HIGHEST_PRIORITY = 100
"""As the contract says."""

Label = tuple[str, str | None]
"""Name and value of a label; None for whatever value."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that may be in use at once, None for any number."""

    allocations: int | None = None
    cpus: int | None = None
    gpus: int | None = None
    hosts: tuple[tuple[Label, int], ...] = ()
    """Hosts with a label; each label once."""


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True)
class Preemption:
    """When an allocation gives way to a request."""

    grace_ms: int = 2 * _MINUTE_MS
    """From its notice to its end."""
    gap: int = 1
    """By so much, or more, the request's priority must be higher."""


@dataclass(frozen=True, slots=True)
class UserPolicy:
    """What holds for a user."""

    weight: float = 1.0
    """Of the fair share: with 2, twice as much is theirs before others go first."""
    priority_low: int = LOWEST_PRIORITY
    priority_high: int = HIGHEST_PRIORITY
    quota: Quota = NO_QUOTA

    def priority_of(self, asked: int) -> int:
        """Return the priority that counts for a request: within the bounds, nearest to the asked.

        None is refused, so that a test that says nothing (0) runs under every policy.
        """
        return min(max(asked, self.priority_low), self.priority_high)


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds in a lab."""

    half_life_ms: int = _HOUR_MS
    """After which use counts half for the fair share."""
    default_max_ms: int = 0
    """How long an allocation lasts at most whose request does not say, 0 for `limit_max_ms`."""
    limit_max_ms: int = 0
    """A request may not say more, 0 for no limit."""
    backfill: bool = True
    preemption: Preemption | None = None
    """None for never."""
    show_up_ms: int = 10 * _MINUTE_MS
    """How long a booking that began waits for the first heartbeat."""
    most_keep_ms: int = 4 * _HOUR_MS
    """For how long from now an allocation may be kept at the most; 0 for not at all."""
    operators: frozenset[str] = frozenset()
    """The users who may ask for what is drained or in maintenance."""
    everyone: UserPolicy = UserPolicy()
    """What holds for users that are not in `users`."""
    users: Mapping[str, UserPolicy] = field(default_factory=dict)
    teams: Mapping[str, Quota] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    """The team of each user that is in one."""

    def share_of(self, user: str) -> UserPolicy:
        """Return what holds for a user, be they named in the policy or not."""
        return self.users.get(user, self.everyone)

    def team_of(self, user: str) -> str:
        """Return the team that a user is in, empty for none."""
        return self.members.get(user, "")

    def team_quota(self, team: str) -> Quota:
        """Return what a team's members may have in use together."""
        return self.teams.get(team, NO_QUOTA)

    def max_ms_of(self, asked_ms: int) -> int:
        """Return how long an allocation may last, 0 for any time; `asked_ms` is 0 for not said."""
        return asked_ms or self.default_max_ms or self.limit_max_ms

    @property
    def has_quotas(self) -> bool:
        """Whether anybody's use is limited."""
        shares = [self.everyone, *self.users.values()]
        return bool(self.teams) or any(share.quota != NO_QUOTA for share in shares)

    def counted(self) -> frozenset[Label]:
        """Return the labels that some quota limits: only hosts with these need to be counted."""
        shares = [self.everyone, *self.users.values()]
        quotas = [*(share.quota for share in shares), *self.teams.values()]
        return frozenset(label for quota in quotas for label, _ in quota.hosts)


DEFAULT_POLICY = Policy()

"""Reads the policy file. All of its problems are found at once, each with its line."""

import os
from collections.abc import Mapping

from hwprovisioner.allocate.policy import (
    DEFAULT_POLICY,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    NO_QUOTA,
    Label,
    Policy,
    Preemption,
    Quota,
    UserPolicy,
)
from hwprovisioner.allocate.policy_section import UNLIMITED, Section
from hwprovisioner.allocate.quota import said
from hwprovisioner.allocate.violations import LABEL, MAX_WORD
from hwprovisioner.serving.located import Data, Located, file_text, read_located
from hwprovisioner.serving.problems import FaultyFile, Path, Problem, quote

MAX_LIMIT = 1_000_000_000
MAX_WEIGHT = 1000

_KEYS = (
    *("fair_share", "max_duration", "backfill", "preemption", "show_up", "keep"),
    *("defaults", "users", "teams", "operators"),
)
_MOST_BYTES = 16 * 1024 * 1024
_LONGEST = "30d"
"""As the contract says of maximum durations."""


class PolicyError(FaultyFile):
    """A policy file that cannot be used."""


def read_policy(file: str | os.PathLike[str]) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: it cannot be used.
    """
    name = os.fspath(file)
    text = file_text(name, _MOST_BYTES)
    if isinstance(text, Problem):
        raise PolicyError(name, [text])
    return parse_policy(text, name)


def parse_policy(text: str, file: str = "policy.yml") -> Policy:
    """Read the text of a policy file; `file` is its name in messages.

    Raises:
        PolicyError: it cannot be used.
    """
    located = read_located(text)
    problems = located.problems
    if located.data is None and not problems:
        # A file that is just being written is empty, too: that must not lift every limit.
        problems.append(Problem(1, 1, "", "is empty: write `{}` if all is to be as by default"))
    policy = policy_of(located, (), located.data)
    if problems:
        raise PolicyError(file, problems, text)
    return policy


def policy_of(located: Located, path: Path, data: Data) -> Policy:
    """Read a policy that stands somewhere in a file; what is wrong is noted in `located`."""
    top = Section(located, path, data, _KEYS)
    default_max_ms, limit_max_ms = _max_duration(top)
    everyone = _user(top, "defaults", UserPolicy())
    users = top.section("users")
    teams, members = _teams(top.section("teams"))
    return Policy(
        half_life_ms=top.section("fair_share", "half_life").duration_ms(
            "half_life", DEFAULT_POLICY.half_life_ms, "1m", "30d"
        ),
        default_max_ms=default_max_ms,
        limit_max_ms=limit_max_ms,
        backfill=top.flag("backfill", default=DEFAULT_POLICY.backfill),
        preemption=_preemption(top),
        show_up_ms=top.duration_ms("show_up", DEFAULT_POLICY.show_up_ms, "1s", "1d"),
        most_keep_ms=top.section("keep", "most").duration_ms(
            "most", DEFAULT_POLICY.most_keep_ms, "0s", _LONGEST
        ),
        operators=frozenset(top.words("operators") if "operators" in top else ()),
        everyone=everyone,
        users={name: _user(users, name, everyone) for name in users},
        teams=teams,
        members=members,
    )


def _max_duration(top: Section) -> tuple[int, int]:
    """Return the default and the limit, 0 for none."""
    section = top.section("max_duration", "default", "limit")
    default_ms = section.duration_ms("default", 0, "1s", _LONGEST)
    limit_ms = section.duration_ms("limit", 0, "1s", _LONGEST)
    if 0 < limit_ms < default_ms:
        section.fault("default", f"is longer than the limit in line {section.line('limit')}")
    return default_ms, limit_ms


def _preemption(top: Section) -> Preemption | None:
    section = top.section(
        *("preemption", "grace", "gap"),
        if_empty="write `preemption: {}` to allow it with the defaults, leave it out for never",
    )
    if "preemption" not in top:
        return None
    default = Preemption()
    return Preemption(
        grace_ms=section.duration_ms("grace", default.grace_ms, "0s", "1d"),
        gap=section.integer("gap", default.gap, 1, HIGHEST_PRIORITY - LOWEST_PRIORITY),
    )


def _user(users: Section, name: str, base: UserPolicy) -> UserPolicy:
    """Return what holds for a user, given what holds where the file does not say."""
    user = users.section(name, "weight", "priority", "quota")
    low, high = _priority(user, base)
    return UserPolicy(
        weight=user.weight("weight", base.weight, MAX_WEIGHT),
        priority_low=low,
        priority_high=high,
        quota=_quota(user, base.quota),
    )


def _priority(user: Section, base: UserPolicy) -> tuple[int, int]:
    priority = user.section("priority", "min", "max")
    low = priority.integer("min", base.priority_low, LOWEST_PRIORITY, HIGHEST_PRIORITY)
    high = priority.integer("max", base.priority_high, LOWEST_PRIORITY, HIGHEST_PRIORITY)
    if low > high:
        inherited = "; what is left out is that of `defaults`"
        has_both = "min" in priority and "max" in priority
        user.fault("priority", f"min is {low}, above max, {high}{'' if has_both else inherited}")
    return low, high


def _quota(of: Section, base: Quota) -> Quota:
    if of.is_unlimited("quota"):
        return NO_QUOTA
    quota = of.section(
        *("quota", "allocations", "cpus", "gpus", "hosts"),
        if_empty=f"write `quota: {UNLIMITED}` to lift all limits, leave it out to change nothing",
    )
    return Quota(
        allocations=quota.limit("allocations", base.allocations, MAX_LIMIT),
        cpus=quota.limit("cpus", base.cpus, MAX_LIMIT),
        gpus=quota.limit("gpus", base.gpus, MAX_LIMIT),
        hosts=_hosts(quota, base),
    )


def _hosts(quota: Section, base: Quota) -> tuple[tuple[Label, int], ...]:
    if quota.is_unlimited("hosts"):
        return ()
    hosts = quota.section(
        "hosts",
        if_empty=f"write `hosts: {UNLIMITED}` to lift all of them, leave it out to change nothing",
    )
    limits = dict(base.hosts)
    for key in hosts:
        label, limit = _label(hosts, key), hosts.limit(key, None, MAX_LIMIT)
        if limit is None:
            limits.pop(label, None)
        else:
            limits[label] = limit
    return tuple(sorted(limits.items(), key=lambda item: said(item[0])))


def _label(hosts: Section, key: str) -> Label:
    name, equals, value = key.partition("=")
    if not LABEL.fullmatch(name) or len(value) > MAX_WORD:
        message = f"{quote(key)} is no label, such as jetson or rack=a1"
        hosts.fault(key, message, at_key=True)
    return name, value if equals else None


def _teams(teams: Section) -> tuple[Mapping[str, Quota], Mapping[str, str]]:
    """Return the quotas of the teams, and the team of each member."""
    quotas: dict[str, Quota] = {}
    members: dict[str, str] = {}
    for name in teams:
        if not name:
            teams.fault(name, "a team needs a name", at_key=True)
        team = teams.section(name, "members", "quota")
        quotas[name] = _quota(team, NO_QUOTA)
        for user in team.words("members"):
            other = members.setdefault(user, name)
            if other != name:
                line = teams.line(other)
                team.fault(
                    "members", f"{quote(user)} is in team {quote(other)} of line {line}, too"
                )
    return quotas, members

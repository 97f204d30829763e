"""A policy: what it says of each user, of teams, and of what they ask for."""

import pytest

from hwprovisioner.allocate import requests
from hwprovisioner.allocate.policy import (
    DEFAULT_POLICY,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    NO_QUOTA,
    Policy,
    Quota,
    UserPolicy,
)
from hwprovisioner.allocate.policy_file import parse_policy
from support.policy import HOUR_MS, JETSON, RACK, WHOLE

DEFAULTS = "defaults: {quota: {cpus: 64, gpus: 4, hosts: {jetson: 2, rack=a1: 5}}}\n"


def test_the_default_allows_everything() -> None:
    share = DEFAULT_POLICY.share_of("anybody")
    assert share == UserPolicy(1.0, LOWEST_PRIORITY, HIGHEST_PRIORITY, NO_QUOTA)
    assert (HIGHEST_PRIORITY, LOWEST_PRIORITY) == (requests.MAX_PRIORITY, -requests.MAX_PRIORITY)
    assert DEFAULT_POLICY.team_of("anybody") == ""
    assert DEFAULT_POLICY.team_quota("") == NO_QUOTA
    assert DEFAULT_POLICY.preemption is None
    assert DEFAULT_POLICY.most_keep_ms == 4 * HOUR_MS
    assert DEFAULT_POLICY.operators == frozenset()
    assert DEFAULT_POLICY.counted() == frozenset()


def test_users_and_teams_are_looked_up_by_name() -> None:
    policy = parse_policy(WHOLE)
    assert policy.share_of("alice").weight == 2
    assert policy.share_of("dave") == policy.everyone
    assert (policy.team_of("carol"), policy.team_of("dave")) == ("kernel", "")
    assert policy.team_quota("kernel") == Quota(gpus=12)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("{}", Quota(None, 64, 4, ((JETSON, 2), (RACK, 5)))),
        ("{cpus: 0, allocations: 3}", Quota(3, 0, 4, ((JETSON, 2), (RACK, 5)))),
        ("{cpus: unlimited, gpus: ~}", Quota(hosts=((JETSON, 2), (RACK, 5)))),
        ("{hosts: {jetson: 9}}", Quota(None, 64, 4, ((JETSON, 9), (RACK, 5)))),
        ("{hosts: {jetson: null}}", Quota(None, 64, 4, ((RACK, 5),))),
        ("{hosts: {rack: 1}}", Quota(None, 64, 4, ((JETSON, 2), (("rack", None), 1), (RACK, 5)))),
        ("{hosts: unlimited}", Quota(None, 64, 4)),
        ("unlimited", NO_QUOTA),
    ],
)
def test_a_users_quota_overrides_the_defaults_key_by_key(quota: str, expected: Quota) -> None:
    policy = parse_policy(f"{DEFAULTS}users: {{alice: {{quota: {quota}}}}}")
    assert policy.share_of("alice").quota == expected


def test_the_counted_labels_are_those_of_all_quotas() -> None:
    policy = parse_policy(
        "users: {a: {quota: {hosts: {jetson: 1}}}}\n"
        "teams: {t: {members: [b], quota: {hosts: {rack=a1: 1}}}}"
    )
    assert policy.counted() == {JETSON, RACK}


@pytest.mark.parametrize(("asked", "counts"), [(-100, -10), (0, 0), (7, 7), (100, 50)])
def test_a_priority_is_taken_to_the_nearest_bound(asked: int, counts: int) -> None:
    assert UserPolicy(priority_low=-10, priority_high=50).priority_of(asked) == counts


@pytest.mark.parametrize(
    ("default_ms", "limit_ms", "asked_ms", "lasts_ms"),
    [(0, 0, 0, 0), (0, 0, 5, 5), (2, 9, 0, 2), (2, 9, 5, 5), (0, 9, 0, 9)],
)
def test_who_does_not_say_how_long_gets_the_default_or_the_limit(
    default_ms: int, limit_ms: int, asked_ms: int, lasts_ms: int
) -> None:
    policy = Policy(default_max_ms=default_ms, limit_max_ms=limit_ms)
    assert policy.max_ms_of(asked_ms) == lasts_ms

"""The page on policies: its example, its problem and its defaults are as it says."""

import re
from pathlib import Path

import pytest

from hwprovisioner.allocate.policy import DEFAULT_POLICY, Preemption, Quota, UserPolicy
from hwprovisioner.allocate.policy_file import PolicyError, parse_policy
from support.policy import JETSON, RACK

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_the_example_of_the_page_is_a_good_file() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    policy = parse_policy(example)
    assert policy.share_of("alice") == UserPolicy(
        2, -100, 50, Quota(20, 64, 8, ((JETSON, 2), (RACK, 5)))
    )
    assert policy.share_of("nightly").priority_of(0) == -10


def test_the_problem_that_the_page_shows_is_told_so() -> None:
    [shown] = re.findall(r"```\n(policy\.yml:.*?)\n```", PAGE, re.DOTALL)
    entry = shown.splitlines()[1].removeprefix("    ")
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"users:\n{entry}\n")
    assert str(caught.value) == shown


def test_the_page_tells_the_defaults() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \|.*?\| ([^|]*) \| [^|]*\|$", PAGE, re.MULTILINE))
    default, preemption = DEFAULT_POLICY, Preemption()
    assert parse_policy(f"fair_share: {{half_life: {rows['fair_share.half_life']}}}") == default
    assert parse_policy(f"backfill: {rows['backfill']}\nshow_up: {rows['show_up']}") == default
    grace, gap = rows["preemption.grace"], rows["preemption.gap"]
    told = parse_policy(f"preemption: {{grace: {grace}, gap: {gap}}}")
    assert told.preemption == preemption

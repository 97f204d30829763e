import re
from pathlib import Path

import pytest

from hwprovisioner.allocate import requests
from hwprovisioner.allocate.__main__ import main
from hwprovisioner.allocate.policy import (
    DEFAULT_POLICY,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    NO_QUOTA,
    Policy,
    Preemption,
    Quota,
    UserPolicy,
)
from hwprovisioner.allocate.policy_file import PolicyError, parse_policy, read_policy
from hwprovisioner.allocate.settings import Settings
from hwprovisioner.serving import SettingsError, from_env

JETSON = ("jetson", None)
RACK = ("rack", "a1")
HOUR_MS = 3_600_000
PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
WHOLE = """
fair_share:
  half_life: 90m
max_duration:
  default: 8h
  limit: 7d
backfill: false
preemption:
  grace: 30s
  gap: 20
show_up: 5m
keep: {most: 30m}
operators: [eve, bob]
defaults:
  weight: 1.5
  priority: {min: -50, max: 50}
  quota: {allocations: 20, cpus: 64, gpus: 4, hosts: {jetson: 2, "rack=a1": 5}}
users:
  alice: {weight: 2, priority: {max: 80}, quota: {gpus: 8, hosts: {jetson: 3}}}
  bob:
teams:
  kernel: {members: [alice, carol], quota: {gpus: 12}}
  web: {members: [bob]}
"""
DEFAULTS = "defaults: {quota: {cpus: 64, gpus: 4, hosts: {jetson: 2, rack=a1: 5}}}\n"


def problems(text: str) -> list[str]:
    """Return the first line of each problem."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "policy.yml")
    return [fault.splitlines()[0] for fault in caught.value.faults]


def test_every_key_is_read() -> None:
    quota = Quota(20, 64, 4, ((JETSON, 2), (RACK, 5)))
    everyone = UserPolicy(1.5, -50, 50, quota)
    assert parse_policy(WHOLE) == Policy(
        half_life_ms=90 * 60_000,
        default_max_ms=8 * HOUR_MS,
        limit_max_ms=7 * 24 * HOUR_MS,
        backfill=False,
        preemption=Preemption(30_000, 20),
        show_up_ms=300_000,
        most_keep_ms=30 * 60_000,
        operators=frozenset({"eve", "bob"}),
        everyone=everyone,
        users={
            "alice": UserPolicy(2, -50, 80, Quota(20, 64, 8, ((JETSON, 3), (RACK, 5)))),
            "bob": everyone,
        },
        teams={"kernel": Quota(gpus=12), "web": NO_QUOTA},
        members={"alice": "kernel", "carol": "kernel", "bob": "web"},
    )


def test_what_is_left_out_is_the_default() -> None:
    assert parse_policy("{}") == DEFAULT_POLICY
    assert (
        parse_policy("fair_share:\nmax_duration: {}\ndefaults:\nusers:\nteams:") == DEFAULT_POLICY
    )
    assert parse_policy("preemption: {}").preemption == Preemption(120_000, 1)


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


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: is empty: write `{}` if all is to be as by default"),
        ("# nothing\n", "1:1: is empty: write `{}` if all is to be as by default"),
        ("[]", "1:1: should be a mapping, is a list"),
        ("fair_share: {half_life: 4h", "2:1: not YAML"),
        ("backfil: true", "1:1: backfil: unknown key; did you mean 'backfill'?"),
        ("fair_share: {half_live: 4h}", "1:14: fair_share.half_live: unknown key; did you mean"),
        ("fair_share: 4h", "1:13: fair_share: should be a mapping, is '4h'"),
        ("fair_share: {half_life: 59s}", "from 1m to 30d, such as 90s, 10m, 4h or 7d, is '59s'"),
        ("fair_share: {half_life: 4}", "fair_share.half_life: should be a span of time from 1m"),
        ("fair_share: {half_life: }", "is empty; leave the key out for the default"),
        ("max_duration: {default: 31d}", "max_duration.default: should be a span of time from 1s"),
        ("max_duration: {least: 1s}", "unknown key; known are default, limit"),
        ("max_duration: {limit: 1h,\n default: 2h}", "2:11: max_duration.default: is longer than"),
        ("backfill: perhaps", "1:11: backfill: should be true or false, is 'perhaps'"),
        ("preemption:", "1:1: preemption: is empty: write `preemption: {}` to allow it"),
        ("preemption: {grace: 25h}", "preemption.grace: should be a span of time from 0s to 1d"),
        ("preemption: {gap: 0}", "preemption.gap: should be a whole number from 1 to 200, is '0'"),
        ("preemption: {gab: 1}", "preemption.gab: unknown key; did you mean 'gap'?"),
        ("show_up: 0s", "show_up: should be a span of time from 1s to 1d"),
        ("defaults: {weight: 0}", "defaults.weight: should be a number over 0, up to 1000, is '0'"),
        ("defaults: {weight: 1000.1}", "defaults.weight: should be a number over 0, up to 1000"),
        ("defaults: {weight: nan}", "defaults.weight: should be a number over 0, up to 1000"),
        ("defaults: {wait: 1}", "defaults.wait: unknown key; did you mean 'weight'?"),
        ("defaults: {priority: {max: 101}}", "should be a whole number from -100 to 100, is '101'"),
        (
            "defaults: {priority: {top: 1}}",
            "defaults.priority.top: unknown key; known are max, min",
        ),
        ("defaults: {priority: {min: 2, max: 1}}", "defaults.priority: min is 2, above max, 1"),
        (
            "defaults: {priority: {min: 5}}\nusers: {a: {priority: {max: 4}}}",
            "2:23: users.a.priority: min is 5, above max, 4; what is left out is that of",
        ),
        ("defaults: {quota: {gpu: 1}}", "defaults.quota.gpu: unknown key; did you mean 'gpus'?"),
        ("defaults: {quota: {gpus: -1}}", "should be a whole number from 0 to 1,000,000,000, or"),
        ("defaults: {quota: {gpus: 1.5}}", "or unlimited, is '1.5'"),
        ("defaults: {quota: none}", "defaults.quota: should be a mapping, is 'none'"),
        ("defaults: {quota: }", "defaults.quota: is empty: write `quota: unlimited` to lift"),
        (
            "defaults: {quota: {hosts: }}",
            "defaults.quota.hosts: is empty: write `hosts: unlimited`",
        ),
        ("defaults: {quota: {hosts: {=x: 1}}}", "'=x' is no label, such as jetson or rack=a1"),
        ("users: {a: {}, b: 1}", "1:19: users.b: should be a mapping, is '1'"),
        ("users: {a: {},\n  a: {}}", "2:3: users.a: is here twice; the first is in line 1"),
        ("users: {a: {quote: {}}}", "users.a.quote: unknown key; did you mean 'quota'?"),
        ("teams: {t: }", "teams.t.members: is missing, should be a list of names"),
        (
            "teams: {t: {members: []}}",
            "teams.t.members: is an empty list, should be a list of names",
        ),
        ("teams: {t: {members: a}}", "teams.t.members: is 'a', should be a list of names"),
        ("teams: {t: {members: [a, b, a]}}", "1:29: teams.t.members[2]: 'a' is in the list twice"),
        ("teams: {t: {members: [{}]}}", "teams.t.members[0]: should be a name, is a mapping"),
        ("teams: {t: {members: [a], weight: 2}}", "teams.t.weight: unknown key; known are members"),
        ('teams: {"": {members: [a]}}', "a team needs a name"),
        (
            "teams:\n  t: {members: [a]}\n  u: {members: [b, a]}",
            "3:16: teams.u.members: 'a' is in team 't' of line 2, too",
        ),
    ],
)
def test_each_problem_is_told_with_its_place(text: str, problem: str) -> None:
    [found] = problems(text)
    assert problem in found


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    found = problems("backfill: 7\nusers: {a: {quota: {gpus: x, cpu: 1}}}\nshow_up: 1y\nteam: {}")
    places = [line.removeprefix("policy.yml:").split(" ")[0] for line in found]
    assert places == ["1:11:", "2:27:", "2:30:", "3:10:", "4:1:"]


def test_the_line_is_shown_with_the_problem() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy("backfill: perhaps")
    assert str(caught.value).splitlines()[1:] == ["    backfill: perhaps", "              ^"]


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    file = tmp_path / "policy.yml"
    file.write_bytes(b"backfill: \xff")
    with pytest.raises(PolicyError, match=r"policy.yml:1:11: is not UTF-8: byte 0xff"):
        read_policy(file)


def test_the_settings_have_the_policy_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.yml"
    file.write_text(WHOLE)
    settings = from_env(Settings, {"HWP_POLICY_FILE": str(file)})
    assert (settings.policy_file, settings.policy) == (file, parse_policy(WHOLE))
    settings = from_env(Settings, {})
    assert (settings.policy_file, settings.policy) == (None, DEFAULT_POLICY)


def test_a_bad_policy_is_a_bad_setting_among_others(tmp_path: Path) -> None:
    file = tmp_path / "policy.yml"
    file.write_text("backfill: 7\nshow_up: 7")
    with pytest.raises(SettingsError) as caught:
        from_env(Settings, {"HWP_POLICY_FILE": str(file), "HWP_LAB": "No!"})
    lab, backfill, show_up = sorted(caught.value.faults)
    assert lab.startswith("HWP_LAB=No!")
    assert backfill.startswith(f"HWP_POLICY_FILE: {file}:1:11: backfill: should be")
    assert show_up.startswith(f"HWP_POLICY_FILE: {file}:2:10: show_up: should be")


def test_a_missing_file_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.yml"
    monkeypatch.setenv("HWP_POLICY_FILE", str(file))
    assert main([]) == 78
    assert (
        f"hwp-allocate: HWP_POLICY_FILE: {file}: cannot be read: No such file or directory;"
        " unset it if everything is to be allowed\n"
    ) in capsys.readouterr().err


def test_validate_checks_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(WHOLE)
    bad.write_text("backfill: 7")
    assert main(["validate", str(good)]) == 0
    assert capsys.readouterr() == (f"{good}: 2 users and 2 teams, no problems\n", "")
    assert main(["validate", str(bad), str(good)]) == 2
    shown = capsys.readouterr()
    assert f"{bad}:1:11: backfill: should be true or false, is '7'" in shown.err
    assert str(good) in shown.out


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

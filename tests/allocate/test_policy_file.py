"""The policy file: all that it may say, and how what is wrong with it is told."""

from pathlib import Path

import pytest

from hwprovisioner.allocate.__main__ import main
from hwprovisioner.allocate.policy import (
    DEFAULT_POLICY,
    NO_QUOTA,
    Policy,
    Preemption,
    Quota,
    UserPolicy,
)
from hwprovisioner.allocate.policy_file import PolicyError, parse_policy, read_policy
from hwprovisioner.allocate.settings import Settings
from hwprovisioner.serving import SettingsError, from_env
from support.policy import HOUR_MS, JETSON, RACK, WHOLE


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

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from hwprovisioner.serving import EnvReader, SettingsError, from_env, help_text


@dataclass(frozen=True, slots=True)
class Settings:
    port: int
    grace_ms: int
    log_format: str
    reload: bool
    file: Path | None
    lab: str

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        return cls(
            port=env.integer("HWP_HEARTBEAT_PORT", "port", default=7080, low=0, high=65535),
            grace_ms=env.duration_ms("HWP_GRACE", "time to stop", default="5s", high="1h"),
            log_format=env.choice(
                "HWP_LOG_FORMAT", "log", default="text", choices=["text", "json"]
            ),
            reload=env.flag("RELOAD", "restart on changes", default=False),
            file=env.path("CONFIG_FILE", "resources"),
            lab=env.text("HWP_LAB", "lab", default="default", pattern="[a-z]+"),
        )


DEFAULTS = Settings(7080, 5000, "text", False, None, "default")


def test_nothing_set_gives_the_defaults() -> None:
    assert from_env(Settings, {}) == DEFAULTS


def test_an_empty_value_is_none() -> None:
    assert from_env(Settings, {"HWP_GRACE": "", "HWP_LAB": " "}) == DEFAULTS


def test_values_are_typed() -> None:
    environ = {
        "HWP_HEARTBEAT_PORT": "0",
        "HWP_GRACE": "1.5s",
        "HWP_LOG_FORMAT": "JSON",
        "RELOAD": "yes",
        "CONFIG_FILE": "~/resources.yml",
        "HWP_LAB": "berlin",
    }
    expected = Settings(0, 1500, "json", True, Path.home() / "resources.yml", "berlin")
    assert from_env(Settings, environ) == expected


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [("0ms", 0), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000)],
)
def test_durations_have_units(text: str, duration_ms: int) -> None:
    assert from_env(Settings, {"HWP_GRACE": text}).grace_ms == duration_ms


def test_all_faults_are_reported_together() -> None:
    environ = {
        "HWP_HEARTBEAT_PORT": "70000",
        "HWP_GRACE": "10",
        "HWP_LOG_FORMAT": "jsn",
        "RELOAD": "maybe",
        "HWP_LAB": "UPPER",
        "HWP_LOG_FROMAT": "json",
    }
    with pytest.raises(SettingsError) as failure:
        from_env(Settings, environ)
    assert failure.value.faults == (
        "HWP_HEARTBEAT_PORT=70000: is not a whole number from 0 to 65535",
        "HWP_GRACE=10: is not a duration such as 500ms, 10s, 5m, 2h or 1d",
        "HWP_LOG_FORMAT=jsn: is none of text, json; did you mean json?",
        "RELOAD=maybe: is none of 1, true, yes, on, 0, false, no, off",
        "HWP_LAB=UPPER: does not match [a-z]+",
        "HWP_LOG_FROMAT: there is no such setting; did you mean HWP_LOG_FORMAT?",
    )


def test_a_duration_out_of_its_range_is_refused() -> None:
    with pytest.raises(SettingsError, match="HWP_GRACE=2h: is not from 0ms to 1h"):
        from_env(Settings, {"HWP_GRACE": "2h"})


def test_settings_of_other_services_are_not_refused() -> None:
    assert (
        from_env(Settings, {"HWP_ALLOCATE_PORT": "1", "HWP_HOST_DB": "h", "OTHER": "2"}) == DEFAULTS
    )


def test_help_lists_name_default_and_meaning() -> None:
    lines = help_text(Settings).splitlines()
    assert lines[1] == "  HWP_HEARTBEAT_PORT        port (default: 7080)"
    assert lines[3] == "  HWP_LOG_FORMAT            log: text, json (default: text)"
    assert lines[5] == "  CONFIG_FILE               resources (default: none)"

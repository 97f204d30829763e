"""The plugin's options: command line, then ini file, then default."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from hwprovisioner.client.durations import to_timedelta
from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.holder_key import read
from hwprovisioner.client.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What the run was started with."""

    settings: Settings
    wait: str | None
    ttl: str | None
    priority: int
    ssh_key: str | None
    skip_missing: bool


def read_options(config: pytest.Config) -> Options:
    """Reads the options.

    Raises:
        pytest.UsageError: One cannot be read.
    """

    def option(name: str) -> str:
        said = config.getoption(f"hw_{name}") or config.getini(f"hw_{name}")
        return str(said or "").strip()

    missing = option("missing") or "fail"
    try:
        priority = int(option("priority") or 0)
        for name in ("wait", "ttl"):
            if option(name):
                to_timedelta(option(name), f"--hw-{name}")
        if option("ssh_key"):
            read(option("ssh_key"))
        settings = Settings.from_env(
            os.environ,
            allocate_address=option("allocate"),
            heartbeat_address=option("heartbeat"),
        )
    except BadDemand as bad:
        raise pytest.UsageError(bad.message) from None
    except ValueError:
        said = option("priority")
        raise pytest.UsageError(f"--hw-priority: {said!r} is no number, -100 to 100") from None
    if missing not in ("fail", "skip"):
        raise pytest.UsageError(f"hw_missing: {missing!r} is neither fail nor skip")
    return Options(
        settings,
        option("wait") or None,
        option("ttl") or None,
        priority,
        option("ssh_key") or None,
        missing == "skip",
    )

"""Reading what a check refuses, without a server."""

from collections.abc import Callable

import pytest

from hwprovisioner.serving import Refused

HUGE = "x" * 10_000_000


def violations_of(read: Callable[[], object]) -> dict[str, str]:
    """What is wrong by field; the message stays short whatever was sent."""
    with pytest.raises(Refused) as refusal:
        read()
    assert refusal.value.reason == "BAD_REQUEST"
    assert all(len(description) < 500 for _, description in refusal.value.violations)
    return dict(refusal.value.violations)


def refused(read: Callable[[], object]) -> list[str]:
    """The fields that are named."""
    return list(violations_of(read))

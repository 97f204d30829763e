"""Maintenance and quarantine in the whole suite, with processes killed in between."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.eventually import eventually
from support.real_suite import Suite, running

#: How long one step may take on a machine that is busy with other things.
LIMIT_S = 120.0
#: An outage puts deadlines off by a minute; an expiry of pytest would not say what was missed.
pytestmark = pytest.mark.timeout(8 * LIMIT_S)


def resource(suite: Suite, name: str = "alpha") -> dict[str, object]:
    result = suite.hwp("get", "resource", name, "-o", "json")
    return json.loads(result.stdout) if result.returncode == 0 else {}


def is_so(suite: Suite, **fields: str) -> Callable[[], bool]:
    return lambda: fields.items() <= resource(suite).items()


async def test_a_quarantine_outlives_kills_and_is_lifted_by_a_person_and_a_check(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as suite:
        assert suite.hwp("quarantine", "alpha", "--reason", "smoke").returncode == 0
        for service in ("resourcemanager", "allocate"):
            suite.kill(service)
            here = is_so(suite, presence="PRESENCE_ONLINE", health="HEALTH_QUARANTINED")
            await eventually(here, within=LIMIT_S)
    # The same lab again, from its append-only file.
    async with running(tmp_path) as suite:
        before = resource(suite)
        assert before["health"] == "HEALTH_QUARANTINED"
        assert str(before["reason"]).startswith("quarantined: smoke (by ")
        assert suite.hwp("run", "--resource", "alpha", "--wait", "1", "--", "true").returncode == 5
        assert suite.hwp("undrain", "alpha").returncode == 0
        await eventually(is_so(suite, health="HEALTH_HEALTHY"), within=LIMIT_S)
        assert suite.hwp("run", "--resource", "alpha", "--", "true").returncode == 0


async def test_a_deadline_that_comes_while_allocate_is_away_ends_what_it_was_for(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as suite:
        detached = suite.hwp_json("allocate", "--resource", "alpha", "--detach", "--ttl", "1h")
        assert suite.hwp("drain", "alpha", "--reason", "x", "--deadline", "1").returncode == 0
        suite.kill("allocate")

        def reason() -> str:
            result = suite.hwp("get", "allocation", str(detached["id"]), "-o", "json")
            return str(json.loads(result.stdout).get("endReason")) if result.stdout else ""

        await eventually(lambda: reason() == "END_REASON_REVOKED", within=LIMIT_S)
        await eventually(is_so(suite, adminState="ADMIN_STATE_MAINTENANCE"), within=LIMIT_S)

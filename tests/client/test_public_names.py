"""What the package promises: its names, and how little it costs to import."""

import json
import subprocess
import sys

import pytest

from hwprovisioner import client

PUBLIC = """
Allocating AsyncAllocating AsyncConsole AsyncForward AsyncHardware AsyncHost AsyncLab BadDemand
Booking BookingConflict CommandFailed CommandTimeout Completed Connection Console Forward Gpu
Hardware Host Lab LabError LabUnavailable LeaseLost Listing NotAllowed NotFound Os OverQuota Phase
PrepareFailed RevisionForgotten Settings Unsatisfiable Update Violation WaitTimeout WrongHost
""".split()


def imported_by(code: str) -> set[str]:
    program = f"import json, sys; {code}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    return set(json.loads(out))


def test_the_public_names_are_these() -> None:
    assert client.__all__ == PUBLIC
    assert dir(client) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_can_be_had(name: str) -> None:
    assert getattr(client, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Labb"):
        _ = client.Labb


def test_errors_cost_next_to_nothing_to_import() -> None:
    modules = imported_by("from hwprovisioner.client import LeaseLost")
    assert not modules & {"grpc", "google", "asyncio"}


def test_the_whole_sdk_needs_neither_redis_nor_pydantic_nor_the_server_side() -> None:
    modules = imported_by(f"from hwprovisioner.client import {', '.join(PUBLIC)}")
    ours = {name.split(".")[1] for name in modules if name.startswith("hwprovisioner.")}
    assert ours == {"client", "v1"}
    assert not modules & {"redis", "pydantic", "yaml", "click", "pytest"}

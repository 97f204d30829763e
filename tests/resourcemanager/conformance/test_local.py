"""Driver `local`, on this machine."""

from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms

pytestmark = pytest.mark.timeout(LIMIT_S)


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    conforms(tmp_path, "local")


def test_it_is_lent_in_shares(tmp_path: Path) -> None:
    conforms(
        tmp_path,
        "local",
        "resources: {dynamic: {here: {driver: local, limits: {cpu: 2, mem: 2GiB, instances: 2}}}}",
    )

"""A set of two hosts: granted whole or not at all, used at the same time."""

# ruff: noqa: D103

from concurrent.futures import ThreadPoolExecutor

import pytest

from hwprovisioner.client import Hardware


@pytest.mark.hardware(left={"cpus": 1}, right={"cpus": 1, "memory": "256MiB"})
def test_two_hosts_share_the_work(hardware: Hardware) -> None:
    assert hardware["left"].resource != hardware["right"].resource

    def add_up(name: str, start: int, end: int) -> int:
        count = f'BEGIN {{ for (n = {start}; n <= {end}; n++) sum += n; printf "%d", sum }}'
        return int(hardware[name].run(["awk", count], timeout="30s").stdout)

    with ThreadPoolExecutor() as pool:
        halves = pool.map(add_up, ["left", "right"], [1, 5_001], [5_000, 10_000])
        assert sum(halves) == 50_005_000

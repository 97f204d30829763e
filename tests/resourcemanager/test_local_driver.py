import os
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import (
    Connection,
    Gpu,
    Hold,
    Kind,
    OperatingSystem,
    Resource,
    calls,
    codec,
)
from hwprovisioner.resourcemanager.drivers import _detect
from hwprovisioner.resourcemanager.drivers.local import LocalDriver
from hwprovisioner.resourcemanager.model import Facts, Traits


def resource(declared: Facts = Facts()) -> Resource:  # noqa: B008  # frozen
    return Resource("here", Kind.PHYSICAL_SERVER, "local", declared)


async def test_this_machine_is_detected_and_handed_over() -> None:
    driver = LocalDriver(resource())
    facts = await calls.describe(driver)
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.memory_bytes is not None
    assert facts.memory_bytes > 1024**2
    assert facts.os is not None
    assert facts.os.family == "linux"
    await calls.check(driver)
    hold = Hold("h", "here", 1)
    assert await calls.prepare(driver, hold, lambda line: None) == Connection("local")


async def test_what_the_file_says_overrides_what_is_detected() -> None:
    declared = Facts(cpus=3, os=OperatingSystem("plan9"))
    facts = await calls.describe(LocalDriver(resource(declared)))
    spec = codec.spec(resource(declared), facts, Traits())
    assert (spec.cpus, spec.os.family) == (3, "plan9")
    assert spec.memory_bytes == facts.memory_bytes


def test_only_the_processors_that_it_may_use_count() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert _detect.cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_control_groups_limit_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1048576\n")
    assert _detect.memory_bytes(limit) == 1048576
    limit.write_text("max\n")
    assert _detect.memory_bytes(limit) == _detect.memory_bytes(tmp_path / "none")


def test_os_release_is_read(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('# comment\nNAME="Ubuntu"\nID=ubuntu\nVERSION_ID="22.04"\nODD\n')
    assert _detect.operating_system(file) == OperatingSystem(
        "linux", "ubuntu", "22.04", os.uname().release
    )
    assert _detect.operating_system(tmp_path / "none").family == "linux"


def test_nvidia_smis_lines_are_read() -> None:
    text = "Quadro RTX 4000, 8192\nNVIDIA GeForce RTX 4090, 24564\nNVIDIA Odd, [N/A]\nrubbish\n"
    assert _detect.parse_nvidia_smi(text) == (
        Gpu("nvidia", "rtx4000", 8192 * 1024**2),
        Gpu("nvidia", "rtx4090", 24564 * 1024**2),
        Gpu("nvidia", "odd", 0),
    )


@pytest.mark.parametrize(
    ("body", "gpus"),
    [
        ("echo 'Tesla T4, 15360'", (Gpu("nvidia", "teslat4", 15360 * 1024**2),)),
        ("exit 9", None),
        ("exit 0", ()),
    ],
)
async def test_nvidia_smi_is_asked(tmp_path: Path, body: str, gpus: tuple[Gpu, ...] | None) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    assert await _detect.gpus(str(program)) == gpus


async def test_a_machine_without_nvidia_smi_has_no_known_cards() -> None:
    assert await _detect.gpus("no-such-nvidia-smi") is None

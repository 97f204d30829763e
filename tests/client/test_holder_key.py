"""The key pair of a holder: made for each allocation unless one is named, used where none is."""

import json
import os
import stat
import tempfile
from pathlib import Path

import grpc
import pytest

from hwprovisioner.client import AsyncLab, BadDemand, Unsatisfiable
from hwprovisioner.client.commands.own_allocations import FORGET_AFTER_S
from hwprovisioner.client.holder_key import read
from hwprovisioner.v1.resource_pb2 import Connection
from support import needs
from support.asking import HOLDER_KEY
from support.cli_lab import CliLabInThread, Hwp
from support.fake_allocation import FakeAllocation
from support.fake_lab import FakeLab
from support.fake_refusals import Refusal


@pytest.fixture(autouse=True)
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A key pair of the user, by the file of its public half."""
    (tmp_path / "mine").write_text("not looked into")
    public = tmp_path / "mine.pub"
    public.write_text(f"{HOLDER_KEY} me@desk\n")
    return public


def by_ssh(allocation: FakeAllocation) -> None:
    allocation.connection = Connection(protocol="ssh", address="10.0.0.9")
    allocation.ready()


def left_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def is_private(file: Path) -> bool:
    return "PRIVATE KEY" in file.read_text()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_each_allocation_has_a_pair_of_its_own_that_goes_with_it(
    lab: AsyncLab, fake: FakeLab, own_temp: Path
) -> None:
    needs.program("ssh-keygen")
    fake.on_submit = by_ssh
    async with lab.allocate(cpus=1) as one, lab.allocate(cpus=1) as two:
        for hardware in (one, two):
            file = Path(hardware.host.connection.key_file)
            assert str(file) == hardware.key.file
            assert (mode(file), mode(file.parent)) == (0o600, 0o700)
            assert is_private(file)
        asked = [each.request.ssh_public_key for each in fake.allocations.values()]
        assert asked == [one.key.public, two.key.public]
        assert asked[0] != asked[1]
        assert asked[0].startswith("ssh-ed25519 ")
    assert not left_in(own_temp)


async def test_nothing_of_it_stays_when_there_is_no_hardware(
    lab: AsyncLab, fake: FakeLab, own_temp: Path
) -> None:
    fake.refuse_allocate = Refusal(
        grpc.StatusCode.FAILED_PRECONDITION, "none of 2 fits", "UNSATISFIABLE"
    )
    with pytest.raises(Unsatisfiable):
        await lab.allocate(cpus=1).__aenter__()
    assert not left_in(own_temp)


async def test_without_ssh_keygen_none_is_sent(
    lab: AsyncLab, fake: FakeLab, own_temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    fake.on_submit = by_ssh
    async with lab.allocate(cpus=1) as hardware:
        assert fake.only.request.ssh_public_key == ""
        assert hardware.host.connection.key_file == ""
        assert not left_in(own_temp)


async def test_a_key_that_is_named_is_used_and_left_alone(
    lab: AsyncLab, fake: FakeLab, named: Path, own_temp: Path
) -> None:
    fake.on_submit = by_ssh
    for name in (named, named.with_suffix("")):
        async with lab.allocate(cpus=1, ssh_key=name) as hardware:
            assert fake.allocations.popitem()[1].request.ssh_public_key == f"{HOLDER_KEY} me@desk"
            assert hardware.host.connection.key_file == str(named.with_suffix(""))
        assert not left_in(own_temp)
    assert left_in(named.parent) >= {"mine", "mine.pub"}


@pytest.mark.parametrize(
    "connection",
    [Connection(protocol="local"), Connection(protocol="ssh", key_file="~/.ssh/lab")],
)
async def test_hosts_that_need_none_are_reached_as_ever(
    lab: AsyncLab, fake: FakeLab, named: Path, connection: Connection
) -> None:
    def grant(allocation: FakeAllocation) -> None:
        allocation.connection = connection
        allocation.ready()

    fake.on_submit = grant
    async with lab.allocate(cpus=1, ssh_key=named) as hardware:
        assert hardware.host.connection.key_file == connection.key_file


async def test_a_booking_is_taken_up_with_the_key_that_it_was_made_with(
    lab: AsyncLab, fake: FakeLab, named: Path
) -> None:
    booking = await lab.book(cpus=1, start="+1h", duration="1h", ssh_key=named)
    assert fake.only.request.ssh_public_key == f"{HOLDER_KEY} me@desk"
    by_ssh(fake.only)
    async with lab.attach(booking.allocation_id, booking.token, ssh_key=named) as hardware:
        assert hardware.host.connection.key_file == str(named.with_suffix(""))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read: No such file"),
        (f"{HOLDER_KEY}\n{HOLDER_KEY}\n", "is not one public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is not one public key"),
        ("x" * 5_000, "is not one public key"),
        ("", "is not one public key"),
    ],
)
def test_what_is_no_public_key_is_not_sent(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "id.pub"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadDemand, match=f"ssh_key: .*id.pub {why}") as caught:
        read(file)
    assert "PRIVATE" not in str(caught.value)


def test_a_key_in_an_agent_has_no_file(named: Path) -> None:
    named.with_suffix("").unlink()
    assert read(named).file == ""


# -- hwp ------------------------------------------------------------------------------------------


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "hwprovisioner" / "keys").iterdir())


@pytest.mark.parametrize("how", ["--detach", "--no-wait"])
def test_the_key_of_what_outlives_the_command_is_kept_until_the_release(
    hwp: Hwp, thread: CliLabInThread, tmp_path: Path, own_temp: Path, how: str
) -> None:
    needs.program("ssh-keygen")
    thread.lab.on_submit = by_ssh
    shown = json.loads(hwp("allocate", "--cpus", "4", how, "-o", "json").stdout)
    (folder,) = kept(tmp_path)
    assert (mode(folder), mode(folder / "key")) == (0o700, 0o600)
    assert thread.lab.only.request.ssh_public_key == read(folder / "key").public
    if how == "--detach":
        assert shown["hosts"]["host"]["connection"]["keyFile"] == str(folder / "key")
    assert not left_in(own_temp)
    assert hwp("release", "a-1").exit_code == 0
    assert not kept(tmp_path)


def test_a_key_is_not_kept_for_what_was_refused(
    hwp: Hwp, thread: CliLabInThread, tmp_path: Path
) -> None:
    thread.lab.refuse_allocate = Refusal(
        grpc.StatusCode.FAILED_PRECONDITION, "none of 2 fits", "UNSATISFIABLE"
    )
    assert hwp("allocate", "--cpus", "400", "--detach").exit_code == 4
    assert not kept(tmp_path)


def test_keys_of_long_ago_go_with_the_next(hwp: Hwp, tmp_path: Path) -> None:
    needs.program("ssh-keygen")
    old = tmp_path / "hwprovisioner" / "keys" / "old"
    old.mkdir(parents=True)
    (old / "key").write_text("x")
    aged = old.stat().st_mtime - FORGET_AFTER_S - 60
    os.utime(old, (aged, aged))
    hwp("allocate", "--cpus", "4", "--detach")
    assert old not in kept(tmp_path)
    assert len(kept(tmp_path)) == 1


def test_what_is_booked_is_run_on_with_the_key_that_was_kept(
    hwp: Hwp, thread: CliLabInThread, tmp_path: Path
) -> None:
    needs.program("ssh-keygen")
    assert hwp("book", "--from", "+1h", "--for", "1h", "--cpus", "1").exit_code == 0
    (folder,) = kept(tmp_path)
    thread.call(lambda: by_ssh(thread.lab.only))
    seen = tmp_path / "seen"
    hwp("run", "--allocation", "a-1", "--", "sh", "-c", f'echo "$HWP_HOSTS" > {seen}')
    assert json.loads(seen.read_text())["host"]["key_file"] == str(folder / "key")


def test_a_key_that_is_named_is_not_removed(
    hwp: Hwp, thread: CliLabInThread, named: Path, tmp_path: Path
) -> None:
    hwp("allocate", "--cpus", "4", "--detach", "--ssh-key", str(named))
    assert thread.lab.only.request.ssh_public_key == f"{HOLDER_KEY} me@desk"
    hwp("release", "a-1")
    assert named.exists()
    assert named.with_suffix("").exists()

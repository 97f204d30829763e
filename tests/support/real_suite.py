"""The whole suite as processes, as a user starts it.

`hwp up`, on ports and in a folder of its own.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.eventually import eventually

HWP = str(Path(sys.executable).with_name("hwp"))
_OURS = ("HWP_", "REDIS_", "ALLOCATE_API", "HEARTBEAT_API", "CONFIG_FILE")
_START_LIMIT_S = 40.0

TWO_MACHINES = """\
resources:
  static:
    alpha: {driver: local, kind: physical}
    beta: {driver: local, kind: physical, labels: [jetson]}
"""


@dataclass(slots=True)
class Suite:
    """A suite that runs."""

    process: subprocess.Popen[bytes]
    folder: Path
    addresses: dict[str, Any]

    @property
    def allocate(self) -> str:
        return str(self.addresses["allocate"])

    @property
    def heartbeat(self) -> str:
        return str(self.addresses["heartbeat"])

    @property
    def redis_url(self) -> str:
        return str(self.addresses["redis"])

    @property
    def environment(self) -> dict[str, str]:
        """What a user exports to use it."""
        return {
            **clean_environment(),
            "ALLOCATE_API": self.allocate,
            "HEARTBEAT_API": self.heartbeat,
            "XDG_STATE_HOME": str(self.folder / "client"),
        }

    def pid_of(self, service: str) -> int:
        """The process of a service, by the name of its package."""
        found = [pid for pid in _children(self.process.pid) if service in _command_line(pid)]
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def kill(self, service: str) -> int:
        """Kill a service as a power cut would; the suite starts it again."""
        pid = self.pid_of(service)
        os.kill(pid, signal.SIGKILL)
        return pid

    def hwp(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `hwp` and return what it said."""
        return subprocess.run(
            [HWP, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def hwp_json(self, *arguments: str) -> Any:
        """Run `hwp … -o json` and return what it printed."""
        result = self.hwp(*arguments, "-o", "json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    @property
    def log(self) -> str:
        return (self.folder / "up.log").read_text()


def clean_environment() -> dict[str, str]:
    """The environment without what would point to another lab."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def _start(folder: Path, *arguments: str, resources: str) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "resources.yml"
    config.write_text(resources)
    ports = folder / "ports.json"
    ports.unlink(missing_ok=True)
    with (folder / "up.log").open("ab") as log:
        return subprocess.Popen(
            [
                *(HWP, "up", "--config", str(config), "--write-ports", str(ports)),
                *("--state-dir", str(folder / "state")),
                *("--port-allocate=0", "--port-heartbeat=0", "--port-manager=0"),
                *arguments,
            ],
            stdout=log,
            stderr=log,
            env=clean_environment(),
        )


@contextlib.asynccontextmanager
async def running(
    folder: Path, *arguments: str, resources: str = TWO_MACHINES
) -> AsyncIterator[Suite]:
    """Run `hwp up` until the block ends; `folder` keeps its state between runs."""
    process = _start(folder, *arguments, resources=resources)
    ports = folder / "ports.json"
    try:
        await eventually(
            lambda: ports.exists() or process.poll() is not None, within=_START_LIMIT_S
        )
        assert process.poll() is None, (folder / "up.log").read_text()
        suite = Suite(process, folder, json.loads(ports.read_text()))
        await eventually(lambda: _all_free(suite), within=_START_LIMIT_S)
        yield suite
    finally:
        if process.poll() is None:
            process.terminate()
            await eventually(lambda: process.poll() is not None, within=_START_LIMIT_S)


def _all_free(suite: Suite) -> bool:
    resources = suite.hwp_json("get", "resources")["resources"]
    return all(one["presence"] == "PRESENCE_ONLINE" for one in resources) and bool(resources)


def _children(pid: int) -> list[int]:
    """All processes that a process has started, and those that they have."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        own = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return own + [grandchild for child in own for grandchild in _children(child)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""

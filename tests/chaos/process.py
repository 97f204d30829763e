"""A process of the lab that may be killed, stopped and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from hwprovisioner.suite.leash import leashed
from hwprovisioner.suite.readiness import serving_at
from support.eventually import eventually

START_LIMIT_S = 90.0
STOP_LIMIT_S = 60.0


class Process:
    """A Python module that runs, and dies with this process.

    Attributes:
        name: in histories.
        port: where it serves, 0 if it does not.
        log: everything that it has ever said.
    """

    def __init__(
        self, name: str, module: str, environ: Mapping[str, str], log: Path, port: int = 0
    ) -> None:
        self.name, self.port, self.log = name, port, log
        self._module, self._environ = module, dict(environ)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, **environ: str) -> None:
        """Start it; `environ` replaces what it was told before."""
        assert self._process is None, f"{self.name} runs already"
        self._environ |= environ
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leashed((sys.executable, "-m", self._module), signal.SIGKILL),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )

    async def serves(self) -> None:
        """Wait until it says that it serves; nothing if it does not serve at all."""
        if self.port:
            missing = serving_at(f"127.0.0.1:{self.port}")

            async def is_there() -> bool:
                return await missing() == ""

            await eventually(is_there, within=START_LIMIT_S)

    def send(self, how: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        await self._gone()

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> bool:
        """Ask it to end; return whether it did, and was not killed after the limit."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(limit_s):
                await self._gone()
        except TimeoutError:
            await self.kill()
            return False
        return True

    @property
    def exit_status(self) -> int | None:
        """With what it ended by itself, if it did."""
        return self._process.returncode if self._process is not None else None

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None else None

    def told(self, name: str) -> str:
        """What it is told in its environment."""
        return self._environ[name]

    def twin(self, port: int, **environ: str) -> "Process":
        """Return another of the same name, which is told something else."""
        return Process(self.name, self._module, {**self._environ, **environ}, self.log, port)

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()
            self._process = None


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return what every process of the lab is told: nothing of another lab, and our driver."""
    tests = str(Path(__file__).parents[1])
    ours = ("HWP_", "REDIS_", "ALLOCATE_API", "HEARTBEAT_API", "CONFIG_FILE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    paths = [kept.get("PYTHONPATH", ""), tests, str(folder / "site")]
    path = os.pathsep.join(path for path in paths if path)
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


def bring_driver(folder: Path) -> None:
    """Make a package that brings the driver `chaos`, for `environment`."""
    info = folder / "site" / "chaos_driver-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: chaos-driver\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[hwprovisioner.drivers]\nchaos = chaos.hardware:RecordingHardware\n"
    )

"""`hwp up` as a process."""

import json
import os
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from support.eventually import eventually

STAND_INS = Path(__file__).parents[1] / "suite" / "up_with_stand_ins.py"


class Up:
    """A run of `hwp up`, with stand-ins for the services unless they are to be `real`."""

    def __init__(
        self, folder: Path, *arguments: str, real: bool = False, **environment: str
    ) -> None:
        program = ("-m", "hwprovisioner.client.cli", "up") if real else (str(STAND_INS),)
        self.ports_file = folder / "ports.json"
        self.out, self.err = folder / "up.out", folder / "up.err"
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HWP_", "REDIS_", "ALLOCATE_API", "CONFIG_FILE"))
        }
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, *program),
                    *("--write-ports", str(self.ports_file), "--state-dir", str(folder / "state")),
                    *("--port-allocate=0", "--port-heartbeat=0", "--port-manager=0"),
                    *arguments,
                ],
                stdout=out,
                stderr=err,
                env={**clean, **environment},
            )

    async def ready(self) -> dict[str, str]:
        def addresses() -> dict[str, str] | None:
            if self.process.poll() is not None:
                raise RuntimeError(f"up ended with {self.process.returncode}: {self.said}")
            if not self.ports_file.exists():
                return None
            content = json.loads(self.ports_file.read_text())
            return {name: str(value) for name, value in content.items()}

        found: dict[str, str] = await eventually(addresses, within=20)
        return found

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()

    async def says(self, words: str) -> None:
        await eventually(lambda: words in self.said, within=20)

    def signal(self, how: signal.Signals) -> None:
        self.process.send_signal(how)

    async def status(self) -> int:
        await eventually(lambda: self.process.poll() is not None, within=30)
        return self.process.returncode

    def pid_of(self, name: str) -> int:
        """The newest process of a stand-in."""
        lines = [line for line in self.err.read_text().splitlines() if f"{name} here, pid" in line]
        return int(lines[-1].split("pid ")[1].split(",")[0])


Start = Callable[..., Up]


def redis_of(addresses: dict[str, str]) -> "Redis":
    """Give the server for state of a run."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(addresses["redis"]).path)
    return Redis(unix_socket_path=path, decode_responses=True)

"""The real suite for a benchmark: `hwp up` as a child process, in a folder of its own."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 60.0
_RESOURCE = "    {name}: {{driver: local, kind: physical}}"


@dataclass(frozen=True)
class Addresses:
    """Where the services listen."""

    allocate: str
    heartbeat: str


@contextlib.contextmanager
def running_suite(resources: int) -> Iterator[Addresses]:
    """Run the suite with so many resources whose driver does nothing: this machine, n times."""
    with tempfile.TemporaryDirectory(prefix="hwp-bench-") as name:
        folder = Path(name)
        config = folder / "resources.yml"
        lines = [_RESOURCE.format(name=f"bench{i}") for i in range(resources)]
        config.write_text("resources:\n  static:\n" + "\n".join(lines) + "\n")
        ports = folder / "ports.json"
        with (folder / "up.log").open("w") as log:
            process = subprocess.Popen(
                [
                    *(Path(sys.executable).with_name("hwp"), "up", "--config", config),
                    *("--state-dir", folder / "state", "--write-ports", ports),
                    *("--port-allocate", "0", "--port-heartbeat", "0", "--port-manager", "0"),
                ],
                stdout=log,
                stderr=log,
            )
            try:
                yield _await_addresses(process, ports, folder / "up.log")
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def _await_addresses(process: subprocess.Popen[bytes], ports: Path, log: Path) -> Addresses:
    deadline = time.monotonic() + START_LIMIT_S
    while not ports.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the suite did not start:\n{log.read_text()}")
        time.sleep(0.05)
    said = json.loads(ports.read_text())
    return Addresses(said["allocate"], said["heartbeat"])

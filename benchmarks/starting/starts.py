"""Cases: from the start of a process to what it is started for."""

import contextlib
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.frame import services
from benchmarks.frame.case import Case, Effort, Reading, Readings, Side, Wanted, reading
from benchmarks.frame.stage import Stage, environment_with, free_port

_BIN = Path(sys.executable).parent
_PYTHON = str(_BIN / "python")


@contextlib.contextmanager
def _commands(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    lab = services.allocate(stage, stage.redis())
    services.manager(stage, lab, resources=1)
    times = effort.pick(full=10, quick=3)
    commands = {
        "python": [_PYTHON, "-c", "pass"],
        "import grpc": [_PYTHON, "-c", "import grpc.aio"],
        "hwp --help": [str(_BIN / "hwp"), "--help"],
        "hwp get resources": [str(_BIN / "hwp"), "get", "resources"],
    }

    def all_of_them() -> Readings:
        each: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(times):
            for name, command in commands.items():
                with stage.spending("commands", load=False):
                    each[name].append(_passed_ms(command, {"ALLOCATE_API": lab}))
        return {name: reading(statistics.median(found), "ms") for name, found in each.items()}

    yield {"commands": all_of_them}


@contextlib.contextmanager
def _services(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    redis = stage.redis()
    lab = services.allocate(stage, redis)
    config = stage.folder / "resources.yml"
    config.write_text("resources: {static: {bench: {driver: local, kind: physical}}}\n")
    settings = {
        "hwp-allocate": {"HWP_REDIS_URL": redis.unix_url, "HWP_LAB": "starting"},
        "hwp-heartbeat": {"HWP_REDIS_URL": redis.unix_url, "HWP_LAB": "starting"},
        "hwp-resourcemanager": {"ALLOCATE_API": lab, "CONFIG_FILE": str(config)},
    }
    ports = ("HWP_ALLOCATE_PORT", "HWP_HEARTBEAT_PORT", "HWP_MANAGER_PORT")
    count = itertools.count()

    def all_of_them() -> Readings:
        found: dict[str, Reading] = {}
        for (name, given), port in zip(settings.items(), ports, strict=True):
            own = given | {port: str(free_port()), "HWP_MANAGER_ID": "starting"}
            own["HWP_STATE_DIR"] = str(stage.folder / f"state-{next(count)}")
            with stage.spending(name, load=False):
                found[name] = reading(_ready_ms(name, own), "ms")
        return found

    yield {"services": all_of_them}


def _passed_ms(command: list[str], given: Mapping[str, str]) -> float:
    """Return how long a command took."""
    began = time.perf_counter()
    subprocess.run(command, env=environment_with(given), stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def _ready_ms(name: str, given: Mapping[str, str]) -> float:
    """Start a service, and return how long it was until it said that it serves; end it again."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [_BIN / name], env=environment_with(given), stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.rstrip().endswith("health: serving"):
                return (time.perf_counter() - began) * 1000
    finally:
        process.terminate()
        process.communicate()
    raise RuntimeError(f"{name} ended:\n{''.join(said[-10:])}")


def _ready(name: str) -> Wanted:
    return Wanted(
        name=f"{name} serves", of=name, at_most=1000, words="services ready <= 1 s from exec"
    )


CASES = (
    Case(
        name="start-commands",
        what="the command line, from the start of its process to its end",
        wanted=(
            Wanted(name="hwp --help", of="hwp --help", at_most=200, words="<= 200 ms"),
            Wanted(
                name="hwp get resources", of="hwp get resources", at_most=350, words="<= 350 ms"
            ),
            Wanted(name="hwp --help / python", of="hwp --help", to="python"),
            Wanted(
                name="hwp get resources / import grpc", of="hwp get resources", to="import grpc"
            ),
            Wanted(name="an empty python", of="python"),
            Wanted(name="python that imports gRPC", of="import grpc"),
        ),
        open=_commands,
    ),
    Case(
        name="start-services",
        what="a service, from the start of its process until it serves, next to a lab that runs",
        wanted=tuple(_ready(n) for n in ("hwp-allocate", "hwp-heartbeat", "hwp-resourcemanager")),
        open=_services,
        full=True,
    ),
)

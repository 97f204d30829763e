"""A process with several clients: ``python -m chaos.client``, told what to do by `SETUP`.

It asks for hardware until it is told to stop (SIGTERM); then it gives back what it has, and ends.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.desk import Desk
from chaos.ghost import live as live_as_ghost
from chaos.history import Recorder
from chaos.life import Life
from chaos.sdk_life import RecordedLab
from chaos.sdk_life import live as live_with_sdk

SETUP = "CHAOS_CLIENT"
#: The SDK goes on for so long: no lab is away for longer, whatever comes together.
CONTACT_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process of clients is told.

    Attributes:
        name: of the process.
        seed: what its clients do follows from it.
        histories: the folder to write to.
        allocate: the addresses of all replicas.
        heartbeat: likewise.
        plain: how many clients speak the protocol themselves.
        sdk: how many use the SDK.
        ghosts: how many ask and are gone.
    """

    name: str
    seed: str
    histories: str
    allocate: Sequence[str]
    heartbeat: Sequence[str]
    plain: int
    sdk: int
    ghosts: int

    @property
    def environment(self) -> dict[str, str]:
        return {SETUP: json.dumps(asdict(self)), "HWP_CONTACT_LIMIT_S": str(CONTACT_LIMIT_S)}


async def run(setup: Setup) -> None:
    """Live one life after another with each client until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    histories = Path(setup.histories)
    name = f"{setup.name}.{os.getpid()}"
    history = Recorder(histories / f"{name}.jsonl", name)
    desk = Desk(setup.allocate, setup.heartbeat)
    targets = (_all_of(setup.allocate), _all_of(setup.heartbeat))
    async with RecordedLab(*targets, history) as lab, asyncio.TaskGroup() as group:
        sorts = ("plain",) * setup.plain + ("sdk",) * setup.sdk + ("ghost",) * setup.ghosts
        for n, sort in enumerate(sorts):
            chance = random.Random(f"{setup.seed}/{n}")
            # Nobody else writes as this client, not even the process that comes after this one.
            own = history.named(f"{name}.{n}")
            group.create_task(_client(sort, desk, lab, own, chance, stopping))
    await desk.close()


async def _client(
    sort: str,
    desk: Desk,
    lab: RecordedLab,
    history: Recorder,
    chance: random.Random,
    stopping: asyncio.Event,
) -> None:
    while not stopping.is_set():
        if sort == "plain":
            await Life(desk, history, chance, stopping).live()
        elif sort == "sdk":
            await live_with_sdk(lab, history, chance, stopping)
        else:
            await live_as_ghost(desk, history, chance)
        await asyncio.sleep(chance.uniform(0, 0.05))


def _all_of(addresses: Sequence[str]) -> str:
    """Return a target of which gRPC takes whatever answers."""
    return "ipv4:" + ",".join(addresses)


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Setup(**json.loads(os.environ[SETUP])))))

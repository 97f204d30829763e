"""Several processes on one port: started, watched, started again when they die, and stopped."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable

from hwprovisioner.heartbeat.settings import Settings
from hwprovisioner.heartbeat.worker import SERVING
from hwprovisioner.serving import WRONG_SETTINGS, BindError, reserve

_log = logging.getLogger(__name__)

#: Pauses before a worker is started again: doubled with each death, up to the second.
BACKOFF_S = (0.2, 5.0)
#: A worker that ran for so long is taken to be well again.
WELL_AFTER_S = 10.0
#: Beside its grace, a worker gets so long to stop before it is killed.
STOP_LIMIT_S = 5.0


async def supervise(settings: Settings, stopping: asyncio.Event) -> None:
    """Keep as many workers as the settings say until `stopping` is set.

    Raises:
        BindError: the port is taken, or a worker cannot start as it is set up.
    """
    where, count = settings.serving.bind, settings.workers
    with reserve(where, settings.port, setting="HWP_HEARTBEAT_PORT") as place:
        port: int = place.getsockname()[1]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
        if cores < count:
            _log.warning("%d workers share %d cores: fewer would do as much", count, cores)
        said = (settings.lab, where, port, count)
        _log.info("heartbeat of lab %s listens on %s:%d with %d workers", *said)
        serving: set[int] = set()

        def tell(number: int, serves: bool) -> None:
            before = len(serving)
            (serving.add if serves else serving.discard)(number)
            if len(serving) != before:
                _log.info("%d of %d workers serve", len(serving), count)

        limit_s = settings.serving.grace_ms / 1000 + STOP_LIMIT_S
        workers = [_Worker(n, port, limit_s, tell) for n in range(1, count + 1)]
        tasks = [asyncio.create_task(worker.keep()) for worker in workers]
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for worker in workers:
            worker.stop()
        told.cancel()
        await asyncio.gather(*tasks)


class _Worker:
    """One worker, which may be another process each time.

    Args:
        number: from 1.
        port: that all of them share.
        stop_limit_s: how long it may take to stop.
        tell: told whether it serves.
    """

    def __init__(
        self, number: int, port: int, stop_limit_s: float, tell: Callable[[int, bool], None]
    ) -> None:
        self._number = number
        self._port = port
        self._stop_limit_s = stop_limit_s
        self._tell = tell
        self._stopping = asyncio.Event()
        self._process: subprocess.Popen[bytes] | None = None

    async def keep(self) -> None:
        """Keep it running until `stop`.

        Raises:
            BindError: it cannot start as it is set up, which another try does not change.
        """
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stopping.is_set():
            started = loop.time()
            status = await self._run()
            if self._stopping.is_set():
                return
            if status == WRONG_SETTINGS:
                raise BindError(f"worker {self._number} cannot start as it is set up")
            deaths = 1 if loop.time() - started > WELL_AFTER_S else deaths + 1
            pause_s = min(BACKOFF_S[0] * 2 ** (deaths - 1), BACKOFF_S[1])
            said = (self._number, status, pause_s)
            _log.error("worker %d ended with status %d; it is started again in %g s", *said)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    def stop(self) -> None:
        """End it: asked first, killed after its time limit."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
            asyncio.get_running_loop().call_later(self._stop_limit_s, self._process.kill)

    async def _run(self) -> int:
        """Run a process until it ends, and return its exit status."""
        leash, self._process = self._start()
        reader, writer = await asyncio.open_connection(sock=leash)
        try:
            while line := await reader.readline():
                self._tell(self._number, line == SERVING)
        finally:
            writer.close()
        self._tell(self._number, False)
        return await asyncio.to_thread(self._process.wait)

    def _start(self) -> "tuple[socket.socket, subprocess.Popen[bytes]]":
        ours, theirs = socket.socketpair()
        with theirs:
            leash = theirs.fileno()
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "hwprovisioner.heartbeat.worker",
                    f"{self._number}",
                    f"{leash}",
                ],
                env={**os.environ, "HWP_HEARTBEAT_PORT": str(self._port)},
                stdin=subprocess.DEVNULL,
                pass_fds=(leash,),
                # Ctrl-C reaches the one who stops them all; twice, it would end a worker at once.
                start_new_session=True,
            )
        return ours, process

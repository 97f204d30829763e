"""The life of a service: start in order, run until told to stop, stop in order.

The owner opens what it needs (Redis first) on an `AsyncExitStack`, builds and binds its server, and
calls `serve`; what it opened is closed after `serve` has returned. `run` does the process around
that.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import grpc.aio

from hwprovisioner.serving.health import Readiness
from hwprovisioner.serving.server import BindError

_log = logging.getLogger(__name__)

#: The condition of `Readiness` that `serve` reports on.
STARTED = "started"

#: Exit status of a service that cannot start as it is set up (sysexits: EX_CONFIG).
WRONG_SETTINGS = 78

#: So many new objects are looked at together. A call of gRPC leaves five in a cycle, and many calls
#: at a time have more than the 700 that Python waits for.
_YOUNG = 20_000

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Loop = Callable[[], Awaitable[None]]
"""A background loop: runs until it is cancelled; to end earlier is an error."""


async def serve(
    server: grpc.aio.Server,
    readiness: Readiness,
    stopping: asyncio.Event,
    *,
    loops: Mapping[str, Loop] | None = None,
    grace_ms: int = 5000,
) -> None:
    """Run a bound server and its background loops until `stopping` is set or a loop dies.

    Loops start before the server and are cancelled after it has stopped. `stopping` is set in any
    case when this begins to stop, so that open streams that wait for it can end (with STOPPING) and
    need not be cut off.

    Args:
        server: bound, not started.
        readiness: told when the server is up (`STARTED`), and closed when it stops.
        stopping: set by whoever wants it to stop.
        loops: by name.
        grace_ms: how long calls may go on before they are cut off.

    Raises:
        ExceptionGroup: loops died, with what they raised.
    """
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(_supervised(name, loop), name=name)
            for name, loop in (loops or {}).items()
        ]
        try:
            await server.start()
            readiness.report(STARTED, holds=True)
            await stopping.wait()
        finally:
            stopping.set()
            readiness.close()
            await server.stop(grace_ms / 1000)
            for task in running:
                task.cancel()


async def _supervised(name: str, loop: Loop) -> None:
    await loop()
    raise RuntimeError(f"the loop {name!r} ended, which it should not before it is cancelled")


def run(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    *,
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> int:
    """Run a service as a process, and return its exit status.

    SIGINT and SIGTERM set the event that `main` gets. A second signal ends the process at once, as
    if there were no handler. The status is 0 if it was told to stop, 1 if it failed, 78 if it
    cannot listen where its settings say.

    Args:
        main: the service, until its event is set.
        loop: makes the event loop that it runs on.
    """
    # Modules stay: the garbage collector need not go through them again and again.
    gc.freeze()
    gc.set_threshold(_YOUNG)
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(_until_signalled(main))
    except BindError as error:
        _log.error("%s", error)
        return WRONG_SETTINGS
    except Exception:
        _log.exception("ended by an error")
        return 1
    return 0


async def _until_signalled(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(which: signal.Signals) -> None:
        _log.info("stopping on %s; once more to end at once", which.name)
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stopping.set()

    for each in _SIGNALS:
        loop.add_signal_handler(each, stop, each)
    try:
        await main(stopping)
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)

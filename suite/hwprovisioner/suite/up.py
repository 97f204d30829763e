"""`hwp up`: everything on one machine, started in order, watched over, stopped in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwprovisioner.serving import without_password

from . import announcement, given_redis, places, resources_file, state_folder
from .child import Child, Console
from .embedded import EmbeddedState
from .errors import SuiteError
from .reload import follow_source
from .services import MODULES, Services
from .state_folder import StateFolder
from .supervisor import Supervisor, Wishes, wishes_by_signal

#: Exit statuses: all stopped in time; something had to be killed; the user insisted on killing.
OK, KILLED, FORCED = 0, 1, 130


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        redis: URL of a Redis to use instead of an embedded server.
        config: the resource manager's resources.yml.
        manager: whether a resource manager runs, too.
        ports: by service; 0 for any that is free; the environment or the default if missing.
        folder: the state folder; the environment or the default if None.
        reload: restart the services when their source changes.
        write_ports: a file that gets the addresses once everything is ready.
        modules: what is run as each service.
    """

    redis: str | None = None
    config: Path | None = None
    manager: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None
    reload: bool = False
    write_ports: Path | None = None
    modules: Mapping[str, str] = field(default_factory=lambda: MODULES)


async def run_up(options: Options, environ: Mapping[str, str], console: Console) -> int:
    """Run the suite until SIGINT, SIGTERM or SIGHUP, and return the exit status.

    Raises:
        SuiteError: it cannot run, or a child does not stay up; everything has been stopped.
    """
    given = given_redis.given_url(options.redis, environ)
    ports_file = announcement.PortsFile(options.write_ports)
    folder = options.folder or state_folder.default_folder(environ)
    async with wishes_by_signal() as wishes:
        with state_folder.held(folder) as held:
            state = None if given else EmbeddedState(held, environ)
            services = _services(options, environ, held, state)
            if given:
                await given_redis.wait_for(given, console, wishes.stop)
            where = f"Redis at {without_password(given)}" if given else f"{state}, in {held.path}"
            supervisor = Supervisor(
                _rows(state, services, options, environ, console), wishes, console
            )

            def when_ready() -> None:
                for line in announcement.lines(services, where):
                    console.say(line)
                ports_file.write(services, state.url if state else None)

            try:
                async with _reloading(supervisor, options, console, wishes):
                    await supervisor.run(when_ready)
            finally:
                ports_file.remove()
            return _status(supervisor, wishes, console)


def _services(
    options: Options, environ: Mapping[str, str], held: StateFolder, state: EmbeddedState | None
) -> Services:
    names = ["allocate", "heartbeat", *(["manager"] if options.manager else [])]
    return Services(
        places=places.settle(names, options.ports, environ),
        redis={"HWP_REDIS_URL": state.url} if state else _given(options, environ),
        config=resources_file.settle(options.config, environ, held),
        journal=held.path / "manager" / "resourcemanager.journal",
        modules=options.modules,
    )


def _rows(
    state: EmbeddedState | None,
    services: Services,
    options: Options,
    environ: Mapping[str, str],
    console: Console,
) -> list[list[Child]]:
    """Return all children, in the order of their start."""

    def row(*names: str) -> list[Child]:
        return [
            Child(services.program(name, environ), console, gives_up=not options.reload)
            for name in names
            if name in services.places
        ]

    rows = [row("heartbeat", "allocate"), row("manager")]
    return [[Child(state.program(), console)], *rows] if state else rows


def _given(options: Options, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that name the Redis that was given, as they were given."""
    settings = {
        name: value
        for name, value in environ.items()
        if name.startswith("REDIS_") or name == "HWP_REDIS_URL"
    }
    return settings if options.redis is None else {**settings, "HWP_REDIS_URL": options.redis}


@contextlib.asynccontextmanager
async def _reloading(
    supervisor: Supervisor, options: Options, console: Console, wishes: Wishes
) -> AsyncIterator[None]:
    if not options.reload:
        yield
        return
    children = [each for each in reversed(supervisor.children) if each.program.name != "state"]

    async def follow() -> None:
        try:
            await follow_source(children, console, wishes.stop)
        except SuiteError as error:
            supervisor.fail(error)

    following = asyncio.create_task(follow(), name="reload")
    try:
        yield
    finally:
        await following


def _status(supervisor: Supervisor, wishes: Wishes, console: Console) -> int:
    if wishes.stop_at_once.is_set():
        return FORCED
    if killed := [child.program.name for child in supervisor.children if child.was_killed]:
        console.say(f"stopped, but had to be killed: {', '.join(killed)}")
        return KILLED
    console.say("stopped")
    return OK

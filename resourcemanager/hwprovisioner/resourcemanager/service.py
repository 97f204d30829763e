"""The life of a resource manager."""

from __future__ import annotations

import asyncio
import logging
from importlib import metadata

from hwprovisioner.resourcemanager.agent import Agent
from hwprovisioner.resourcemanager.config import read_config
from hwprovisioner.resourcemanager.errors import RefusedByLab
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.link import Link
from hwprovisioner.resourcemanager.mark import kept_mark, mark_file
from hwprovisioner.resourcemanager.reload import Reloader
from hwprovisioner.resourcemanager.settings import Settings
from hwprovisioner.serving import Readiness, bind, build_server, serve

_log = logging.getLogger(__name__)

#: A first registration waits so long for resources that do not answer; it is better complete than
#: at once.
KNOW_LIMIT_S = 3.0

#: The condition of readiness that the stream reports on.
SUBSCRIBED = "subscribed"


async def run_manager(settings: Settings, stopping: asyncio.Event) -> None:
    """Represent what the resources file says until `stopping` is set.

    Raises:
        ConfigError: The file cannot be used.
        JournalError: The journal cannot be used.
        RefusedByLab: The lab will not have this manager.
        BindError: The port cannot be had.
    """
    config = read_config(settings.config_file)
    manager_id = settings.id_for(config.manager_id)
    readiness = Readiness([], [SUBSCRIBED])
    server = build_server([], readiness)
    port = bind(server, settings.serving.bind, settings.port, setting="HWP_MANAGER_PORT")
    journal_file = settings.journal_for(manager_id)
    journal = Journal.open(journal_file)
    if not settings.mark and not mark_file(journal_file).exists():
        journal.note_new_mark()
    mark = settings.mark or kept_mark(journal_file)
    _log.info(
        "resource manager %s: %d resources, lab at %s, health on port %d, %d holds in the journal;"
        " what it makes is marked %s",
        manager_id,
        len(config.resources),
        settings.allocate_api,
        port,
        sum(held.is_live for held in journal.holds.values()),
        mark,
    )
    refusals: list[RefusedByLab] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            version = metadata.version("hardware-provisioner")
            is_new = journal.has_new_mark and not settings.mark
            agent = Agent(manager_id, version, journal, tasks, mark=mark, is_mark_new=is_new)
            agent.represent(config.resources)
            reloader = Reloader(
                settings.config_file, config, lambda new: agent.represent(new.resources)
            )
            following = tasks.create_task(reloader.run(), name="reloader")
            link = Link(
                agent,
                settings.allocate_api,
                stopping,
                shown=lambda is_up: readiness.report(SUBSCRIBED, holds=is_up),
            )
            linking = tasks.create_task(_stay_linked(agent, link, stopping, refusals), name="link")
            try:
                await serve(server, readiness, stopping, grace_ms=settings.serving.grace_ms)
                await linking
            finally:
                following.cancel()
                linking.cancel()
                await agent.stop()
    finally:
        journal.close()
    if refusals:
        raise refusals[0]


async def _stay_linked(
    agent: Agent, link: Link, stopping: asyncio.Event, refusals: list[RefusedByLab]
) -> None:
    try:
        await agent.know_resources(KNOW_LIMIT_S)
        await link.run()
    except RefusedByLab as error:
        refusals.append(error)
        stopping.set()

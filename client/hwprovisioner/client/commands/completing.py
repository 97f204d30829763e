"""Completing names in a shell: at most a second, and never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from hwprovisioner.client.commands.lab_options import LabOptions

if TYPE_CHECKING:
    from hwprovisioner.client.lab import AsyncLab

LIMIT_S = 1.0
#: Asks a lab for names.
Ask = Callable[["AsyncLab"], Awaitable[Iterable[str]]]


def completing(
    ask: Ask,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Gives a completion from what a lab answers."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        import asyncio

        async def names() -> Iterable[str]:
            options = LabOptions(
                context.params.get("address"), context.params.get("heartbeat_address")
            )
            async with asyncio.timeout(LIMIT_S):
                async with options.lab() as lab:
                    return await ask(lab)

        try:
            found = asyncio.run(names())
        except Exception:  # A shell has nowhere to show it, and the user is still typing.
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


async def _resources(lab: AsyncLab) -> Iterable[str]:
    return [each.spec.name for each in await lab.list_resources()]


async def _allocations(lab: AsyncLab) -> Iterable[str]:
    return [each.id for each in await lab.list_allocations()]


async def _managers(lab: AsyncLab) -> Iterable[str]:
    return [each.id for each in await lab.list_managers()]


complete_resources = completing(_resources)
complete_allocations = completing(_allocations)
complete_managers = completing(_managers)

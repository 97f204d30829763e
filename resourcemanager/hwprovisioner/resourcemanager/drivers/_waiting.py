"""Waiting for what can only be looked at again and again, with lines about how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hwprovisioner.resourcemanager.driver import Report

#: Between two looks, and between two lines.
_LOOK_S = 0.2
_LINE_S = 2.0


async def until(look: Callable[[], Awaitable[str]], what: str, report: Report) -> None:
    """Look until there is no trouble any more; without a limit, as the caller has one."""
    loop = asyncio.get_running_loop()
    began = said = loop.time()
    report(f"waiting for {what}")
    while trouble := await look():
        now = loop.time()
        if now - said >= _LINE_S:
            said = now
            report(f"waiting for {what}, {now - began:.0f} s: {trouble}")
        await asyncio.sleep(_LOOK_S)

"""A key pair for what outlives the command that asks for it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any

from hwprovisioner.client.commands.own_allocations import OwnAllocations


@contextlib.asynccontextmanager
async def with_kept_key(asked: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Gives keywords of a request with a new `ssh_key` that is kept, unless they name one.

    It goes with the allocation's entry (`OwnAllocations.remove`), and at once if the block fails.
    """
    from hwprovisioner.client.holder_key import make

    own = OwnAllocations.of_user()
    folder = None if asked.get("ssh_key") else own.new_key_folder()
    if folder is None:
        yield dict(asked)
        return
    try:
        key = await make(folder)
        yield {**asked, "ssh_key": key.file or None}
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not key.file:
        shutil.rmtree(folder, ignore_errors=True)

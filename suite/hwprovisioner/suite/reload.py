"""Starting the services again when their source changes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from .child import Child, Console
from .errors import BadInput

SUFFIXES = (".py", ".lua", ".yml", ".yaml")


def source_folders() -> list[Path]:
    """Return the folders that hold the suite's source."""
    import hwprovisioner

    return [Path(each) for each in hwprovisioner.__path__ if Path(each).is_dir()]


async def follow_source(
    children: Sequence[Child], console: Console, stopping: asyncio.Event
) -> None:
    """Restart the children, in the given order, at each change of source, until `stopping` is set.

    Raises:
        BadInput: there is nothing here that could watch files.
    """
    try:
        from watchfiles import awatch
    except ImportError as error:
        raise BadInput("--reload needs watchfiles: pip install watchfiles") from error
    folders = source_folders()
    changes = awatch(
        *folders,
        watch_filter=lambda _, path: path.endswith(SUFFIXES),
        stop_event=stopping,
    )
    async for changed in changes:
        names = sorted({Path(path).name for _, path in changed})
        console.say(
            f"source changed ({', '.join(names[:3])}{', …' * (len(names) > 3)}): restarting"
        )
        for child in children:
            await child.restart()

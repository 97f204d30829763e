"""Takes over a changed policy file.

The file is looked at once a second: that works wherever files do, on network file systems and
through the links that editors and Kubernetes swap, and costs next to nothing.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from hwprovisioner.allocate.policy import Policy
from hwprovisioner.allocate.policy_file import PolicyError, read_policy

_log = logging.getLogger(__name__)

_INTERVAL_S = 1.0

_Stamp = tuple[int, ...]
"""What differs when a file was written, replaced, or made readable; empty if it is not there."""
_NEVER: _Stamp = (-1,)


class PolicyWatch:
    """Reads the file again when it has changed, and passes on what is good and different."""

    def __init__(self, file: Path, taken: Policy, take: Callable[[Policy], None]) -> None:
        """Begin with the policy that was read at the start; `take` gets each one after it."""
        self._file = file
        self._taken = taken
        self._take = take
        self._read = self._seen = _NEVER
        self._is_bad = False

    async def watch(self) -> None:
        """Follow the file, until this is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_INTERVAL_S)

    async def look(self) -> None:
        """Read the file if it has changed, and not since the look before.

        A file that still changes may be half written, and half a policy could be a good one.
        """
        stamp = await asyncio.to_thread(_stamp, self._file)
        seen, self._seen = self._seen, stamp
        if stamp != seen or stamp == self._read:
            return
        self._read = stamp
        if stamp:
            await self._reload()
        else:
            self._is_bad = True
            _log.warning(
                "the policy file %s is not there any more: put it back; until then the policy"
                " read last stays",
                self._file,
            )

    async def _reload(self) -> None:
        try:
            policy = await asyncio.to_thread(read_policy, self._file)
        except PolicyError as error:
            self._is_bad = True
            _log.error("the changed policy is not used, the one before stays:\n%s", error)
            return
        is_mended, self._is_bad = self._is_bad, False
        if policy != self._taken:
            self._taken = policy
            _log.info("the policy of %s is in force now", self._file)
            self._take(policy)
        elif is_mended:
            _log.info("the policy file %s is in order again and says the same", self._file)


def _stamp(file: Path) -> _Stamp:
    try:
        found = os.stat(file)
    except OSError:
        return ()
    # The time of change beside that of modification: permissions that were mended count as well.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

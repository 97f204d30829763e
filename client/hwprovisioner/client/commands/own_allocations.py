"""The allocations that this user made here, with their tokens: so that `hwp release ID` just works.

A file in ``$XDG_STATE_HOME/hwprovisioner`` (``~/.local/state/…``) that only this user can read. It
is a convenience: when it cannot be read or written, everything else still works.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two commands at the same moment may lose an entry.
    fcntl = None  # type: ignore[assignment]

#: An allocation that began earlier has ended; the longest that a lab takes is 30 days.
FORGET_AFTER_S = 31 * 86400


class OwnAllocations:
    """Tokens by allocation id."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of_user(cls, environ: Mapping[str, str] = os.environ) -> OwnAllocations:
        """Gives those of the user who runs this."""
        base = environ.get("XDG_STATE_HOME", "").strip() or "~/.local/state"
        with contextlib.suppress(RuntimeError):
            base = str(Path(base).expanduser())
        return cls(Path(base) / "hwprovisioner" / "allocations.json")

    def tokens(self) -> dict[str, str]:
        """Gives all tokens by allocation id, oldest first; nothing if there is no such file."""
        return {name: entry["token"] for name, entry in self._read().items()}

    def add(self, allocation_id: str, token: str, begins_s: float | None = None) -> None:
        """Remembers one.

        Args:
            allocation_id: Which one.
            token: Its token.
            begins_s: When it begins, in seconds since the epoch; None: now.
        """
        begins_s = time.time() if begins_s is None else begins_s
        self._change(allocation_id, {"token": token, "time": int(begins_s)})

    def remove(self, allocation_id: str) -> None:
        """Forgets one."""
        if allocation_id in self._read():
            self._change(allocation_id, None)

    def _change(self, allocation_id: str, entry: dict[str, object] | None) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                entries: dict[str, object] = dict(self._read())
                entries.pop(allocation_id, None)
                self._write(entries | ({allocation_id: entry} if entry else {}))
            finally:
                os.close(lock)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            entries = json.loads(self._path.read_text())
            oldest = time.time() - FORGET_AFTER_S
            return {
                name: entry
                for name, entry in entries.items()
                if isinstance(entry["token"], str) and entry["time"] >= oldest
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write(self, entries: Mapping[str, object]) -> None:
        draft = f"{self._path}.{os.getpid()}"
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(file, "w") as stream:
            json.dump(entries, stream, indent=1)
        os.replace(draft, self._path)

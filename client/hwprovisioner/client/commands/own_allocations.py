"""The allocations that this user made here, with their tokens: so that `hwp release ID` just works.

Beside each stands the key that its hosts let this user in with. A file in
``$XDG_STATE_HOME/hwprovisioner`` (``~/.local/state/…``) that only this user can read. It is a
convenience: when it cannot be read or written, everything else still works.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
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

    def key_file(self, allocation_id: str) -> str:
        """Gives the file of the private key that its hosts let in; empty if there is none here."""
        file = self._read().get(allocation_id, {}).get("key_file", "")
        return file if os.path.isfile(file) else ""

    def add(
        self, allocation_id: str, token: str, begins_s: float | None = None, *, key_file: str = ""
    ) -> None:
        """Remembers one.

        Args:
            allocation_id: Which one.
            token: Its token.
            begins_s: When it begins, in seconds since the epoch; None: now.
            key_file: Of the private key that its hosts let in.
        """
        begins_s = time.time() if begins_s is None else begins_s
        entry = {"token": token, "time": int(begins_s), "key_file": key_file}
        self._change(allocation_id, entry)

    def remove(self, allocation_id: str) -> None:
        """Forgets one, and removes its key if it was made for it alone."""
        if (entry := self._read().get(allocation_id)) is None:
            return
        folder = Path(entry.get("key_file", "")).parent
        if folder.parent == self._keys:
            shutil.rmtree(folder, ignore_errors=True)
        self._change(allocation_id, None)

    def new_key_folder(self) -> Path | None:
        """Makes a folder for a key that is to be kept; None if that cannot be done."""
        folder = self._keys / secrets.token_hex(8)
        try:
            folder.mkdir(mode=0o700, parents=True)
            for old in self._keys.iterdir():
                if old.stat().st_mtime < time.time() - FORGET_AFTER_S:
                    shutil.rmtree(old, ignore_errors=True)
        except OSError:
            return None
        return folder

    @property
    def _keys(self) -> Path:
        return self._path.parent / "keys"

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

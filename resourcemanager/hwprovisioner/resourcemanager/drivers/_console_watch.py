"""Reads a serial console until a text has come."""

from __future__ import annotations

import asyncio
import re

from hwprovisioner.resourcemanager.driver import Reader

_CHUNK = 4096
#: So much of what came last is looked through.
_KEPT = 16_384
_UNSHOWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x09\x0b-\x1f\x7f]")


class ConsoleWatch:
    """What a console has said of late."""

    def __init__(self, text: str) -> None:
        self.is_said = False
        self._text = text
        self._recent = ""

    @property
    def last(self) -> str:
        """The last line that says anything; it often explains a failure."""
        lines = [line.strip() for line in self._recent.splitlines()]
        return next((line[:200] for line in reversed(lines) if line), "")

    async def read(self, reader: Reader) -> None:
        """Read to the end."""
        while data := await reader.read(_CHUNK):
            self._recent += _UNSHOWN.sub("", data.decode(errors="replace"))
            self.is_said = self.is_said or bool(self._text and self._text in self._recent)
            self._recent = self._recent[-_KEPT:]
            await asyncio.sleep(0)

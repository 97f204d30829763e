"""What the lab itself did: its change log, read along by somebody who has no part in it."""

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from chaos.clock import true_ms
from chaos.history import Recorder
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.resp import CommandRefused
from support.lost_tail import commands

_ID = re.compile(r"\d+-\d+")
_RETRY_S = 0.05
_BLOCK_MS = 200


class LogReader:
    """Writes each entry of the change log into a history."""

    def __init__(self, link: Link, keys: Keys, history: Recorder) -> None:
        self._link, self._keys, self._history = link, keys, history
        self.revision = 0
        #: Set with each host set that becomes ready: the lab makes progress.
        self.progress = asyncio.Event()

    async def follow(self) -> None:
        """Read until cancelled; Redis may go away and come back, perhaps with less than it had."""
        while True:
            try:
                await self._look_back()
                while True:
                    await self._read()
            except (StateUnavailable, CommandRefused):
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        found = await self._link.call(
            *("XREAD", "COUNT", 500, "BLOCK", _BLOCK_MS),
            *("STREAMS", self._keys.log, f"{self.revision}-0"),
        )
        for entry_id, fields in found[0][1] if found else ():
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            self._note(_revision(entry_id), values)

    async def _look_back(self) -> None:
        """Write down if what was read last is not there any more."""
        last = f"{self.revision}-0"
        older = await self._link.call("XREVRANGE", self._keys.log, last, "-", "COUNT", 1)
        newest = _revision(older[0][0]) if older else 0
        if newest < self.revision:
            self._history.write("rewound", revision=newest, before=self.revision)
            self.revision = newest

    def note_tail(self, commands: bytes) -> None:
        """Write down the newest entries, from what a Redis that is about to lose them had written.

        They were acknowledged, and not all of them had been read.
        """
        for entry_id, values in _entries(commands, self._keys.log):
            self._note(_revision(entry_id), values)

    def _note(self, revision: int, values: dict[str, Any]) -> None:
        """Write an entry down, unless it has been."""
        if revision <= self.revision:
            return
        changes = json.loads(values["c"])
        event = values["e"]
        self._history.write(
            "log", revision=revision, t=true_ms(int(values["t"])), event=event, changes=changes
        )
        self.revision = revision
        if event == "ready":
            self.progress.set()


def _entries(data: bytes, log: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what was added to the change log by the commands of an append-only file."""
    with contextlib.suppress(ValueError, IndexError):  # the last one may not be finished
        for words, end in commands(data):
            if end > len(data):
                return
            if words[0].upper() == b"XADD" and words[1].decode() == log:
                told = [word.decode() for word in words[2:]]
                at = next(n for n, word in enumerate(told) if _ID.fullmatch(word))
                fields = told[at + 1 :]
                yield told[at], dict(zip(fields[::2], fields[1::2], strict=True))


def _revision(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])

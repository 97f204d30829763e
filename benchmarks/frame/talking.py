"""Processes that are told what to do: a line of JSON to their input, one back on their output.

    worker = stage.talker("client", "benchmarks.allocate.client", address)   # here
    readings = worker.ask("loop", seconds=3)

    if __name__ == "__main__":                                               # there
        listen({"loop": loop})

Nothing but the standard library: peers with an interpreter of their own use it, too.
"""

import asyncio
import inspect
import json
import select
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ANSWER_LIMIT_S = 180.0


class Talker:
    """A process that does what it is told."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, what: str, **how: Any) -> Any:  # noqa: ANN401  # whatever it answers
        """Have it do something, and return what came of that."""
        self.tell(what, **how)
        return self.answer()

    def tell(self, what: str, **how: Any) -> None:  # noqa: ANN401  # whatever it understands
        """Have it do something; `answer` waits for it."""
        assert self._process.stdin is not None
        try:
            print(json.dumps({"what": what, **how}), file=self._process.stdin, flush=True)
        except OSError as error:
            raise RuntimeError(self._last_words()) from error

    def answer(self, within_s: float = ANSWER_LIMIT_S) -> Any:  # noqa: ANN401
        """Wait for what came of the oldest thing that it was told."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], within_s)[0]:
            raise RuntimeError(f"{self.name} has not answered within {within_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        return f"{self.name} has ended:\n{self._log.read_text(errors='replace')[-4000:]}"


def ask_all(talkers: Sequence[Talker], what: str, **how: Any) -> list[Any]:  # noqa: ANN401
    """Have several do the same at the same time; return what came of it."""
    for talker in talkers:
        talker.tell(what, **how)
    return [talker.answer() for talker in talkers]


Doing = Callable[..., Any]


async def listen(doings: Mapping[str, Doing]) -> None:
    """Do what is said on standard input, one after the other, until nobody says any more.

    Args:
        doings: functions or coroutine functions by name; what they return is the answer.
    """
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        found = doings[told.pop("what")](**told)
        if inspect.isawaitable(found):
            found = await _of(found)
        print(json.dumps(found), flush=True)


async def _of(found: Awaitable[Any]) -> Any:  # noqa: ANN401
    return await found

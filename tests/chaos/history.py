"""What an actor did and saw, one JSON line for each thing, on the one clock of the machine.

Every process that takes part writes a file of its own. A line is written at once and whole, so a
process that is killed loses the line that it was about to write, and nothing else.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened.

    Attributes:
        at: when, in s of the machine's monotonic clock, which all processes share.
        wall_ms: the same in ms since the epoch, as the clock of Redis has it.
        who: the actor.
        kind: what sort of thing; the fields depend on it.
        fields: everything else.
    """

    at: float
    wall_ms: float
    who: str
    kind: str
    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    def __str__(self) -> str:
        said = " ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.who}: {self.kind} {said}"


def hashed(secret: str) -> str:
    """Return what stands in a history in place of a token or a request id."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


class Recorder:
    """Appends to the history of one actor; several may share a file."""

    def __init__(self, path: Path, who: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._who = path, who
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._calls = 0

    def named(self, who: str) -> "Recorder":
        """Return one for another actor in the same file."""
        return Recorder(self._path, who)

    def write(self, kind: str, **fields: Any) -> None:
        line = {"at": time.monotonic(), "wall_ms": time.time() * 1000, "who": self._who}
        os.write(self._file, json.dumps({**line, "kind": kind, **fields}).encode() + b"\n")

    def call(self, name: str, **fields: Any) -> int:
        """Note that a call is about to be made; return its number, for `answer`."""
        self._calls += 1
        self.write("call", call=self._calls, name=name, **fields)
        return self._calls

    def answer(self, call: int, outcome: str, **fields: Any) -> None:
        """Note what came of a call: `ok`, `refused`, or `unknown` if it may have taken effect."""
        self.write("answer", call=call, outcome=outcome, **fields)

    def close(self) -> None:
        os.close(self._file)


def read(folder: Path) -> list[Line]:
    """Return all histories in a folder as one, in the order in which things happened."""
    lines = [line for path in folder.glob("*.jsonl") for line in _lines_of(path)]
    return sorted(lines, key=lambda line: line.at)


def _lines_of(path: Path) -> Iterable[Line]:
    for text in path.read_text().splitlines():
        try:
            fields = json.loads(text)
        except ValueError:
            continue  # the last line of one that was killed
        at, wall_ms, who, kind = (fields.pop(name) for name in ("at", "wall_ms", "who", "kind"))
        yield Line(at, wall_ms, who, kind, fields)

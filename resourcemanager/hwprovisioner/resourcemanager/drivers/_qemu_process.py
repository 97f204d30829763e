"""A virtual machine on this host: a folder with its files, and a process that runs in it.

The process goes on when the manager dies, as the test that runs on the machine does. So that a
later manager neither misses one nor starts a second, the folder has a lock that is held by the
process itself, from before it begins until the kernel has ended it: whoever can take the lock knows
that nothing runs there and, for as long as they keep it, that nothing will.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from hwprovisioner.resourcemanager.drivers import _qmp
from hwprovisioner.resourcemanager.drivers._qemu_program import started
from hwprovisioner.resourcemanager.errors import DriverError, Later
from hwprovisioner.resourcemanager.threads import in_thread, seen_through

#: What QEMU is told to make, in the folder.
MONITOR, CONSOLE, PID = "qmp", "tty", "pid"
_LOCK, _UP = "lock", "up"
#: Between two looks at a process that has not yet said who it is.
_LOOK_S = 0.02


class Machine:
    """One virtual machine, whether there is one or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def is_there(self) -> bool:
        """Whether anything is left of it."""
        return self.folder.exists()

    @property
    def is_running(self) -> bool:
        """Whether it has a process."""
        try:
            with self._locked() as lock:
                return lock is None
        except FileNotFoundError:
            return False

    @property
    def is_up(self) -> bool:
        """Whether it runs and had come up once."""
        return (self.folder / _UP).exists() and self.is_running

    def came_up(self) -> None:
        """Note that it is up, for managers to come."""
        (self.folder / _UP).touch()

    async def start(self, command: Sequence[str]) -> None:
        """Start QEMU in the folder; it has to detach itself and say its process id in `PID`.

        Raises:
            Later: There is no memory for it now.
            DriverError: It does not start, or one runs there already.
        """
        with self._locked() as lock:
            if lock is None:
                raise DriverError(f"a virtual machine runs in {self.folder} already")
            (self.folder / PID).unlink(missing_ok=True)
            async with started(command, cwd=self.folder, pass_fds=(lock,)) as process:
                _, said = await process.communicate()
        if process.returncode != 0:
            words = said.decode(errors="replace").strip().splitlines() or ["it says nothing"]
            failure = Later if "Cannot allocate memory" in words[-1] else DriverError
            raise failure(f"QEMU does not start: {words[-1]}")

    async def kill(self) -> None:
        """End the process, if there is one, and return when it is gone."""
        with contextlib.suppress(FileNotFoundError):
            while self.is_running:
                await self._kill()

    async def destroy(self) -> None:
        """End the process and delete the folder."""
        await self.kill()
        with contextlib.suppress(FileNotFoundError), self._locked() as lock:
            if lock is None:
                raise DriverError(f"a virtual machine was started in {self.folder} meanwhile")
            await seen_through(in_thread(shutil.rmtree, self.folder))

    @contextlib.asynccontextmanager
    async def monitor(self) -> AsyncIterator[_qmp.Qmp]:
        """Talk to QEMU.

        Raises:
            DriverError: It does not run, or does not answer.
        """
        async with _qmp.connected(lambda: self.dial(MONITOR)) as qmp:
            yield qmp

    async def dial(self, socket: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a unix socket in the folder.

        Raises:
            DriverError: Nothing listens there.
        """
        try:
            # The path of a unix socket may have no more than 107 bytes, and that of a folder may.
            folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                path = f"/proc/self/fd/{folder}/{socket}"
                return await asyncio.open_unix_connection(path, limit=_qmp.LONGEST_ANSWER)
            finally:
                os.close(folder)
        except OSError as error:
            name = self.folder.name
            raise DriverError(f"the virtual machine {name} does not run: {error}") from error

    async def _kill(self) -> None:
        """Kill the process that has the lock, once it has said who it is."""
        with contextlib.suppress(OSError, ValueError):
            process = os.pidfd_open(int((self.folder / PID).read_text()))
            try:
                # Who has the lock wrote that number, and lived when it was looked up: it is theirs.
                if self.is_running:
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    await _ended(process)
            finally:
                os.close(process)
        if self.is_running:
            await asyncio.sleep(_LOOK_S)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int | None]:
        """Hold the lock; `None` if a process has it."""
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield lock
        finally:
            # What was started meanwhile has a copy, and with it the lock.
            os.close(lock)


async def _ended(process: int) -> None:
    """Wait for the end of a process, given its pidfd."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)

"""The key pair that lets a holder in to hosts that ask for one: the public half goes to the lab.

Without being told which to use, each allocation has a pair of its own, which is gone when it ends.
It is made by `ssh-keygen`, which whoever has `ssh` has; without it, no key is sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from hwprovisioner.client.errors import BadDemand
from hwprovisioner.v1.allocation_pb2 import Host

_log = logging.getLogger(__name__)

LONGEST = 4_096
"""What the lab takes."""


@dataclass(frozen=True, slots=True)
class HolderKey:
    """A key pair."""

    public: str = ""
    """One line in OpenSSH's form; empty: there is none."""
    file: str = ""
    """Path of the private half; empty if it is not in a file here, but in an agent."""


NO_KEY = HolderKey()


def read(file: str | os.PathLike[str]) -> HolderKey:
    """Reads a public key; the path may be that of its private half, which lies beside it.

    Raises:
        BadDemand: There is none, or it is something else.
    """
    path = Path(file).expanduser()
    public = path if path.suffix == ".pub" else Path(f"{path}.pub")
    private = public.with_suffix("")
    try:
        with public.open(errors="replace") as stream:
            line = stream.read(LONGEST + 2).strip()
    except OSError as error:
        raise _bad(file, f"{public} cannot be read: {error.strerror}") from None
    # The lab looks closer; what is plainly something else does not leave this machine.
    if "PRIVATE KEY" in line or len(line.splitlines()) != 1 or len(line) > LONGEST:
        raise _bad(file, f"{public} is not one public key in OpenSSH's form")
    return HolderKey(line, str(private) if private.is_file() else "")


async def make(folder: Path) -> HolderKey:
    """Makes a key pair `key` and `key.pub` in a folder; none where there is no `ssh-keygen`."""
    file = folder / "key"
    if (program := shutil.which("ssh-keygen")) is None:
        return NO_KEY
    process = await asyncio.create_subprocess_exec(
        *(program, "-q", "-t", "ed25519", "-N", "", "-C", "hwp", "-f", str(file)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        why = complaint.decode(errors="replace").strip()
        _log.warning("no key pair for hosts that ask for one: ssh-keygen failed: %s", why)
        return NO_KEY
    return read(file)


class OwnKey:
    """The key pair of one allocation, for the length of a block: a given one, or one made for it.

    The private half of one that is made stands in a folder that only this user can enter, and that
    is removed at the end of the block.
    """

    def __init__(self, given: HolderKey | None) -> None:
        self._given = given
        self._folder: Path | None = None

    async def __aenter__(self) -> HolderKey:
        if self._given is not None:
            return self._given
        self._folder = Path(tempfile.mkdtemp(prefix="hwp-key-"))
        key = NO_KEY
        try:
            key = await make(self._folder)
        finally:
            if not key.file:
                self.remove()
        return key

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Removes what was made. Doing so twice changes nothing."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def fill_in(hosts: Mapping[str, Host], key: HolderKey) -> None:
    """Has hosts that are reached by SSH without a key of their own reached with the holder's."""
    for host in hosts.values():
        connection = host.connection
        if key.file and connection.protocol == "ssh" and not connection.key_file:
            connection.key_file = key.file


def _bad(file: str | os.PathLike[str], why: str) -> BadDemand:
    return BadDemand(
        f"ssh_key: {why}; name a file such as ~/.ssh/id_ed25519.pub",
        reason="BAD_KEY",
        metadata={"file": os.fspath(file)},
    )

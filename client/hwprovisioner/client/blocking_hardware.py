"""Hardware for programs that block: the request, the block, the hosts in it."""

from __future__ import annotations

import os
from types import TracebackType

from hwprovisioner.client.allocating import AsyncAllocating, AsyncHardware, AsyncHost
from hwprovisioner.client.blocking_reach import Reachable
from hwprovisioner.client.durations import Span
from hwprovisioner.client.errors import LabError
from hwprovisioner.client.holding import Held
from hwprovisioner.client.loop_thread import Mailbox, loop_thread
from hwprovisioner.client.reachable import AsyncReachable
from hwprovisioner.client.running import Command, Completed
from hwprovisioner.client.telling import UpdateCallback
from hwprovisioner.client.updates import Update


class Host(Reachable):
    """A granted host."""

    __slots__ = ("_hardware", "_host")

    def __init__(self, host: AsyncHost, hardware: Hardware) -> None:
        super().__init__(host.facts, host.lease)
        self._host = host
        self._hardware = hardware

    def _reached(self) -> AsyncReachable:
        self._hardware.check()
        return self._host

    def run(
        self,
        command: Command,
        *,
        check: bool = True,
        timeout: Span | None = None,
        input: str | bytes | None = None,  # named as in subprocess.run
    ) -> Completed:
        """Runs a command on the host, and stops it at once when the lease is lost.

        Args:
            command: One line for `sh`, or a program and its arguments.
            check: Whether an exit code other than 0 raises.
            timeout: How long it may take; None: as long as it wants.
            input: What it reads from its standard input; None: nothing.

        Raises:
            LeaseLost: The host must not be used any more, or so it became.
            CommandFailed: The exit code was not 0, and `check` is set.
            CommandTimeout: It took too long, and was stopped.
            WrongHost: The host is not reached by `local`, `ssh` or `docker`.
        """
        self._hardware.check()
        return loop_thread().call(
            self._host.run(command, check=check, timeout=timeout, input=input)
        )


class Hardware(Held[Host]):
    """Allocated hardware: `hardware.host`, or `hardware["db"]` when there are several."""

    def __init__(self, hardware: AsyncHardware) -> None:
        self._pid = os.getpid()
        self._async = hardware
        hosts = {name: Host(host, self) for name, host in hardware.all_hosts.items()}
        super().__init__(hardware.session, hosts, hardware.key)

    def check(self) -> None:
        """Does nothing while the hosts may be used.

        Raises:
            LeaseLost: They must not.
            LabError: This is a forked child; the allocation is its parent's.
        """
        if self._pid != os.getpid():
            raise LabError(
                f"allocation {self.allocation_id} belongs to process {self._pid}, which forked this"
                " one; allocate in the child, or run its commands in the parent",
                reason="OTHER_PROCESS",
                metadata={"allocation_id": self.allocation_id, "pid": str(self._pid)},
            )
        super().check()

    def release(self) -> None:
        """Gives it back now instead of at the end of the block. Doing so twice changes nothing."""
        if self._pid == os.getpid():
            loop_thread().call(self._async.release())


class Allocating:
    """What is asked for, or booked, and becomes hardware for the length of a block."""

    def __init__(
        self,
        lab: object,
        asked: AsyncAllocating,
        news: Mailbox[Update],
        on_update: UpdateCallback | None,
    ) -> None:
        self._lab = lab  # Dropping the lab would close the connections.
        self._asked = asked
        self._news = news
        self._on_update = on_update
        self._pid = os.getpid()

    def __enter__(self) -> Hardware:
        """Asks, and waits until all hosts are ready; raises as `AsyncAllocating.__aenter__`.

        However the wait ends (an error, Ctrl-C, a time-out that raises), nothing stays allocated.
        """
        thread = loop_thread()
        thread.at_exit(self._asked.abandon)
        try:
            hardware = thread.call(self._asked.__aenter__(), self._news, self._on_update)
            return Hardware(hardware)
        except BaseException:
            # The interruption may have come just after the grant.
            thread.call(self._asked.abandon())
            thread.not_at_exit(self._asked.abandon)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives the hardware back, unless in a forked child; raises as its asyncio twin."""
        if self._pid != os.getpid():
            return
        thread = loop_thread()
        try:
            thread.call(self._asked.__aexit__(kind, error, traceback))
        finally:
            thread.not_at_exit(self._asked.abandon)

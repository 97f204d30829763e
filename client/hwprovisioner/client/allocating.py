"""Hardware for asyncio programs: the request, the block, the hosts in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from hwprovisioner.client.channel import Channels
from hwprovisioner.client.clock import Time
from hwprovisioner.client.durations import Span
from hwprovisioner.client.facts import HostFacts, read_hosts
from hwprovisioner.client.follow import Asked, Claim
from hwprovisioner.client.holder_key import NO_KEY, HolderKey, OwnKey, fill_in
from hwprovisioner.client.holding import Held
from hwprovisioner.client.reach import Reach
from hwprovisioner.client.reachable import AsyncReachable
from hwprovisioner.client.running import Command, Completed, execute
from hwprovisioner.client.session import Session
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.telling import Callbacks
from hwprovisioner.v1.allocate_service_pb2 import AllocateRequest


class AsyncHost(AsyncReachable):
    """A granted host."""

    __slots__ = ()

    async def run(
        self,
        command: Command,
        *,
        check: bool = True,
        timeout: Span | None = None,  # noqa: ASYNC109  # part of what is run, like subprocess.run's
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
        connection = self.connection
        work = asyncio.ensure_future(
            execute(self.name, connection, command, check=check, limit=timeout, stdin=input)
        )
        over = asyncio.ensure_future(self._session.over())
        try:
            await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
            await _stopped(work)
            self._lease.check()
            return work.result()
        finally:
            over.cancel()
            await _stopped(work)


class AsyncHardware(Held[AsyncHost]):
    """Allocated hardware: `hardware.host`, or `hardware["db"]` when there are several."""

    async def release(self) -> None:
        """Gives it back now instead of at the end of the block. Doing so twice changes nothing."""
        await self._session.close()


class AsyncAllocating:
    """What is asked for, or booked, and becomes hardware for the length of a block."""

    def __init__(
        self,
        channels: Callable[[], Channels],
        asked: Asked,
        settings: Settings,
        time: Time,
        callbacks: Callbacks,
        key: HolderKey | None = None,
    ) -> None:
        self._channels = channels
        self._asked = asked
        self._settings = settings
        self._time = time
        self._callbacks = callbacks
        self._session: Session | None = None
        # What is there already has been asked for with a key or without.
        self._key = OwnKey(NO_KEY if key is None and isinstance(asked, Claim) else key)

    async def __aenter__(self) -> AsyncHardware:
        """Asks, and waits until all hosts are ready.

        However the wait ends (an error, a cancellation), nothing stays allocated; a booking whose
        time has not come stays booked.

        Raises:
            Unsatisfiable: Nothing registered could ever satisfy the demands.
            WaitTimeout: They were not satisfied in time.
            PrepareFailed: The hosts could not be readied up.
            LeaseLost: It was ended by somebody else, or no heartbeat got through.
            LabUnavailable: The lab is away.
            BadDemand: The lab does not understand the demands.
            OverQuota: They are more than the quota could ever allow.
            NotFound, NotAllowed: There is no such allocation to attach to, or its token is wrong.
        """
        assert self._session is None, "one request is one block; call allocate() or attach() again"
        key = await self._key.__aenter__()
        asked = _with_key(self._asked, key)
        session = self._session = Session(
            self._channels(), asked, self._settings, self._time, self._callbacks
        )
        try:
            allocation = await session.granted()
        except BaseException:
            await self.abandon()
            raise
        fill_in(allocation.hosts, key)
        facts = read_hosts(allocation.hosts)
        return AsyncHardware(session, {n: self._host(f, session) for n, f in facts.items()}, key)

    def _host(self, facts: HostFacts, session: Session) -> AsyncHost:
        allocation_id, token = session.lease.allocation_id, session.token
        reach = Reach(self._channels, self._settings, allocation_id, token, facts.name, self._time)
        return AsyncHost(facts, session, reach)

    async def abandon(self) -> None:
        """Gives back what there is, whether or not the block was ever entered."""
        try:
            if self._session is not None:
                await self._session.close()
        finally:
            self._key.remove()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives the hardware back.

        Raises:
            LeaseLost: It was lost in the block, which has neither failed nor been told: what it
                did may have been done on somebody else's machine.
        """
        assert self._session is not None
        untold = self._session.lease.unseen_loss if error is None else None
        released = self._session.closed
        await self.abandon()
        if untold is not None and not released:
            raise untold


def _with_key(asked: Asked, key: HolderKey) -> Asked:
    if isinstance(asked, Claim):
        return asked
    request = AllocateRequest(ssh_public_key=key.public)
    request.MergeFrom(asked)
    return request


async def _stopped(work: asyncio.Task[Completed]) -> None:
    """Waits until a command has ended, or has been stopped; its failure is looked at elsewhere."""
    if not work.done():
        work.cancel()
        await asyncio.wait((work,))
    if not work.cancelled():
        work.exception()

"""Channels from holders to hosts: opened, carried by the host's manager, closed.

A holder's call, the manager's stream and the manager's end of the channel may be at three replicas.
The holder's replica makes the channel and has the manager told; wherever the manager then comes
with its end, that replica claims it, once. The channel is closed as soon as either end has gone, or
the host is no longer the holder's.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field

from hwprovisioner.allocate.channel_ends import (
    FromHolder,
    FromManager,
    ToHolder,
    ToManager,
    broke,
    channel_of,
    serve_holder,
    serve_manager,
    target_of,
    until_opened,
)
from hwprovisioner.allocate.codec import hold_ref
from hwprovisioner.allocate.dispatch import Dispatch
from hwprovisioner.allocate.held_hosts import HeldHosts, silent
from hwprovisioner.allocate.relay import (
    TOUCH_S,
    End,
    FarEnd,
    NearEnd,
    check_is_there,
    keep_touching,
    near_ends,
    side_by_side,
)
from hwprovisioner.allocate.signals import Signals
from hwprovisioner.allocate.switchboard import Switchboard
from hwprovisioner.serving import Refused, bad_request
from hwprovisioner.state.channels import Channels, Gone, Side
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.model import Hold
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2

MOST_CHANNELS = 64
"""So many channels of one allocation are open at once."""
OPEN_LIMIT_S = 30.0
"""How long a manager may take to reach a host."""
CALL_LIMIT_S = 150.0
"""How long a manager may take to switch power; it gives its driver 120 s."""


@dataclass(slots=True)
class _Opening:
    """A channel that a holder has asked for, and the holder's end of it once its manager came."""

    end: asyncio.Future[End] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    is_near: bool = False
    """The manager has come to this very replica."""

    def give(self, end: End) -> bool:
        """Go on with an end, and say whether anybody still waited for one."""
        if self.end.done():
            return False
        self.end.set_result(end)
        return True


class ChannelDesk:
    """Serves both ends of channels; switches power, too, for which managers are asked likewise."""

    def __init__(
        self,
        hosts: HeldHosts,
        dispatch: Dispatch,
        switchboard: Switchboard,
        channels: Channels,
        signals: Signals,
    ) -> None:
        """Reach managers through `switchboard`, other replicas through `channels`."""
        self._hosts = hosts
        self._dispatch = dispatch
        self._switchboard = switchboard
        self._channels = channels
        self._openings: dict[str, _Opening] = {}
        self._far: dict[tuple[str, Side], FarEnd] = {}
        signals.on("channel", self._wake)

    @property
    def count(self) -> int:
        """How many ends of channels are known here that others could still come to."""
        return len(self._openings) + len(self._far)

    async def switch_power(self, request: pb.SwitchPowerRequest) -> None:
        """Switch a host's power.

        Raises:
            Refused: it was not, as the contract says.
        """
        if request.action not in _ACTIONS:
            raise bad_request([("action", "must be POWER_ACTION_ON, _OFF or _CYCLE")])
        hold = await self._hosts.find(request.allocation_id, request.token, request.host)
        call = stream.SwitchHostPower(
            call_id=secrets.token_urlsafe(24), hold=hold_ref(hold), action=request.action
        )
        message = stream.SubscribeResponse(switch_power=call)
        telling = self._switchboard.keep_telling(hold.manager, message)
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                await side_by_side(
                    [self._switchboard.answer(call.call_id)],
                    [telling, self._hosts.until_over(hold)],
                )
        except TimeoutError:
            raise silent(hold) from None

    async def connect(self, requests: FromHolder, write: ToHolder) -> None:
        """Serve the holder's end of a channel until it has ended.

        Raises:
            Refused: it could not be opened, or broke, as the contract says.
        """
        target = await target_of(requests)
        hold = await self._hosts.find(target.allocation_id, target.token, target.host)
        channel_id = secrets.token_urlsafe(24)
        opening = self._openings[channel_id] = _Opening()

        async def serve() -> None:
            end = await self._opened(channel_id, hold, target, opening)
            await serve_holder(end, requests, write)

        try:
            await self._admit(channel_id, hold)
            keeping = self._keep(channel_id, hold, opening)
            await side_by_side([serve()], [self._hosts.until_over(hold), keeping])
        except Gone:
            raise broke(hold.host) from None
        finally:
            del self._openings[channel_id]
            end = (
                None if opening.end.cancelled() or not opening.end.done() else opening.end.result()
            )
            opening.end.cancel()
            await self._close(channel_id, hold.allocation, Side.HOLDER, end)

    async def carry(self, requests: FromManager, write: ToManager) -> None:
        """Serve the manager's end of a channel until it has ended.

        Raises:
            Refused: there is no such channel, or the manager breaks the protocol.
        """
        channel = await channel_of(requests)
        channel_id, opening = channel.channel_id, self._openings.get(channel.channel_id)
        allocation_id = await self._claim(channel_id, opening)
        end, watches = self._managers_end(channel_id, opening), [self._until_stopping()]
        if isinstance(end, FarEnd):
            touching = keep_touching(self._channels, channel_id, allocation_id, Side.MANAGER)
            watches.append(touching)
        try:
            await side_by_side([serve_manager(end, channel, requests, write)], watches)
        except Gone:
            # The holder's end has closed it.
            self._far.pop((channel_id, Side.MANAGER), None)
        except BaseException:
            await self._close(channel_id, allocation_id, Side.MANAGER, end)
            raise

    async def _admit(self, channel_id: str, hold: Hold) -> None:
        if not await self._channels.open(channel_id, hold.allocation, MOST_CHANNELS):
            raise Refused(
                "TOO_MANY_CHANNELS",
                f"allocation {hold.allocation!r} has {MOST_CHANNELS} channels open: close some",
                metadata={"allocation_id": hold.allocation, "limit": str(MOST_CHANNELS)},
            )

    async def _keep(self, channel_id: str, hold: Hold, opening: _Opening) -> None:
        """Say now and then that the holder's end is there; raises `Gone` if the channel has."""
        while True:
            with contextlib.suppress(StateUnavailable):
                await self._touch(channel_id, hold, opening)
            await asyncio.sleep(TOUCH_S)

    async def _touch(self, channel_id: str, hold: Hold, opening: _Opening) -> None:
        try:
            age_ms = await self._channels.touch(channel_id, hold.allocation, Side.HOLDER)
        except Gone:
            if not opening.is_near:
                raise
            # Redis has lost it, as in an outage. Its bytes do not go that way, so it goes on.
            await self._channels.open(channel_id, hold.allocation, MOST_CHANNELS)
            return
        if age_ms is not None and not opening.is_near:
            check_is_there(age_ms)
            # Should it have been missed that the manager came to another replica.
            self._meet_far(channel_id, opening)

    async def _opened(
        self, channel_id: str, hold: Hold, target: pb.ChannelTarget, opening: _Opening
    ) -> End:
        """Have the manager told, and return the holder's end once the host is reached."""
        call = stream.OpenChannel(channel_id=channel_id, hold=hold_ref(hold))
        if target.WhichOneof("target") == "console":
            call.console = True
        else:
            call.port = target.port
        message = stream.SubscribeResponse(open_channel=call)

        async def meet() -> None:
            await until_opened(await opening.end)

        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                telling = self._switchboard.keep_telling(hold.manager, message)
                await side_by_side([meet()], [telling])
        except TimeoutError:
            raise silent(hold) from None
        return opening.end.result()

    async def _claim(self, channel_id: str, opening: _Opening | None) -> str:
        if opening is not None:
            # Before all replicas, this one too, hear that it has been claimed.
            opening.is_near = True
        try:
            return await self._channels.claim(channel_id)
        except Gone:
            if opening is not None:
                opening.is_near = opening.end.done()
            raise _no_such_channel() from None

    def _managers_end(self, channel_id: str, opening: _Opening | None) -> NearEnd | FarEnd:
        if opening is None:
            far = FarEnd(self._channels, channel_id, Side.MANAGER)
            self._far[channel_id, Side.MANAGER] = far
            return far
        holders, managers = near_ends()
        if not opening.give(holders):
            raise _no_such_channel()
        return managers

    def _wake(self, channel_id: str, side: str) -> None:
        opening = self._openings.get(channel_id)
        if (far := self._far.get((channel_id, Side(side)))) is not None:
            far.wake()
        elif opening is not None and side == Side.HOLDER and not opening.is_near:
            self._meet_far(channel_id, opening)

    def _meet_far(self, channel_id: str, opening: _Opening) -> None:
        far = FarEnd(self._channels, channel_id, Side.HOLDER)
        if opening.give(far):
            self._far[channel_id, Side.HOLDER] = far

    async def _until_stopping(self) -> None:
        await self._dispatch.until_stopping()
        self._dispatch.check_running()

    async def _close(
        self, channel_id: str, allocation_id: str, side: Side, end: End | None
    ) -> None:
        self._far.pop((channel_id, side), None)
        if isinstance(end, NearEnd):
            end.cut()
        # Should Redis be away, it forgets the channel by itself.
        with contextlib.suppress(StateUnavailable):
            await self._channels.close(channel_id, allocation_id, side)


_ACTIONS = frozenset(resource_pb2.PowerAction.values()) - {resource_pb2.POWER_ACTION_UNSPECIFIED}


def _no_such_channel() -> Refused:
    return Refused("NO_SUCH_CHANNEL", "the channel was given up, or is carried already")

"""A host as the lab reaches it for its holder: its power, its console, its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwprovisioner.client.channel import Channels
from hwprovisioner.client.clock import SYSTEM_TIME, Time
from hwprovisioner.client.errors import BadDemand, LabUnavailable, Violation
from hwprovisioner.client.failures import from_rpc
from hwprovisioner.client.guessing import did_you_mean
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.trying_again import call_again
from hwprovisioner.client.tunnel import Tunnel
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.resource_pb2 import PowerAction

if TYPE_CHECKING:
    from hwprovisioner.client.tunnel import Call

POWER_LIMIT_S = 160.0
"""How long the lab may take to switch power; it gives up by itself before."""
OPEN_LIMIT_S = 45.0
"""The same for the opening of a channel."""

_ACTIONS = {
    "on": PowerAction.POWER_ACTION_ON,
    "off": PowerAction.POWER_ACTION_OFF,
    "cycle": PowerAction.POWER_ACTION_CYCLE,
}


class Reach:
    """Calls about one host of one allocation, for whoever has its token."""

    def __init__(
        self,
        channels: Callable[[], Channels],
        settings: Settings,
        allocation_id: str,
        token: str,
        host: str,
        time: Time = SYSTEM_TIME,
    ) -> None:
        self._channels = channels
        self._settings = settings
        self._allocation_id = allocation_id
        self._token = token
        self._host = host
        self._time = time

    @property
    def name(self) -> str:
        """The host with its allocation, for people to read."""
        return f"{self._allocation_id}/{self._host}"

    async def power(self, action: str) -> None:
        """Switches the host's power: `on`, `off` or `cycle`. Returns when it is done.

        It is asked for once: whoever is told that no answer came cannot know whether it was done.

        Raises:
            BadDemand: There is no such action.
            LabError: It was not done.
        """
        if action not in _ACTIONS:
            what = f"{action!r} is no action{did_you_mean(action, _ACTIONS)}; on, off or cycle"
            raise BadDemand(what, violations=[Violation("action", what)])
        request = pb.SwitchPowerRequest(
            allocation_id=self._allocation_id,
            token=self._token,
            host=self._host,
            action=_ACTIONS[action],
        )
        try:
            await self._channels().allocate.SwitchPower(request, timeout=POWER_LIMIT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self._settings.allocate_address) from None

    async def console(self) -> Tunnel:
        """Opens the host's serial console; raises as `connect`."""
        return await self._open(pb.ChannelTarget(console=True))

    async def connect(self, port: int) -> Tunnel:
        """Opens a TCP connection to a port of the host, as seen from where the host is.

        Raises:
            BadDemand: That is no port.
            LeaseLost: The host is no longer the holder's.
            LabError: It could not be opened.
        """
        return await self._open(pb.ChannelTarget(port=checked_port(port)))

    async def _open(self, target: pb.ChannelTarget) -> Tunnel:
        target.allocation_id, target.token = self._allocation_id, self._token
        target.host = self._host
        return await call_again(lambda _: self._try_to_open(target), self._settings, self._time)

    async def _try_to_open(self, target: pb.ChannelTarget) -> Tunnel:
        call: Call = self._channels().allocate.Connect()
        address = self._settings.allocate_address
        is_open = False
        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                try:
                    await call.write(pb.ConnectRequest(open=target))
                except asyncio.InvalidStateError:
                    pass  # it failed at once; what with is found by reading
                is_open = isinstance(await call.read(), pb.ConnectResponse)
        except TimeoutError:
            raise LabUnavailable(
                f"the lab at {address} did not open a channel to {self.name} within"
                f" {OPEN_LIMIT_S:g} s",
                reason="NO_ANSWER",
                metadata={"address": address},
            ) from None
        finally:
            if not is_open:
                call.cancel()
        return Tunnel(call, address)


def checked_port(port: int) -> int:
    """Gives a port.

    Raises:
        BadDemand: It is none.
    """
    if not 0 < port < 65536:
        raise BadDemand(f"{port} is no port; they are from 1 to 65535")
    return port

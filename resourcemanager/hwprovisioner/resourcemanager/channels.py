"""What a holder does to a host through the lab: switch its power, see its console, reach a port.

Each call and each channel is a task of its own. The lab may ask the same again, as it does not
know what was missed: it is done once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import grpc.aio

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.answers import said
from hwprovisioner.resourcemanager.carrying import Call, carry_bytes, failure, farewell
from hwprovisioner.resourcemanager.driver import Channel, Driver
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.model import Connection, Power
from hwprovisioner.resourcemanager.represented import Represented
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2

_log = logging.getLogger(__name__)

#: So many calls are remembered, in case the lab asks again.
_REMEMBERED = 1_000

_POWER = {
    resource_pb2.POWER_ACTION_ON: Power.ON,
    resource_pb2.POWER_ACTION_OFF: Power.OFF,
    resource_pb2.POWER_ACTION_CYCLE: Power.CYCLE,
}

Carry = Callable[[], Call]


class Fleet(Protocol):
    """Where resources are found."""

    def get(self, name: str) -> Represented | None:
        """Return a resource, `None` if it is not represented."""
        ...


class _Refused(Exception):
    """It is not done: the contract's reason, and why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Channels:
    """Everything that is under way for holders of this manager's hosts."""

    def __init__(
        self,
        journal: Journal,
        fleet: Fleet,
        tasks: asyncio.TaskGroup,
        send: Callable[[stream.SubscribeRequest], object],
    ) -> None:
        self._journal = journal
        self._fleet = fleet
        self._tasks = tasks
        self._send = send
        self._known: OrderedDict[str, stream.CallDone | None] = OrderedDict()
        self._running: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        #: Opens the manager's end of a channel, once there is a lab.
        self.carry: Carry | None = None

    @property
    def count(self) -> int:
        """How many calls and channels are under way."""
        return sum(len(tasks) for tasks in self._running.values())

    def switch_power(self, call: stream.SwitchHostPower) -> None:
        """Switch a host's power, and tell the lab what came of it."""
        if not self._is_new(call.call_id):
            if (done := self._known[call.call_id]) is not None:
                self._send(stream.SubscribeRequest(call_done=done))
            return
        self._start(call.hold.hold_id, self._switch(call), f"power {call.hold.hold_id}")

    def open(self, message: stream.OpenChannel) -> None:
        """Reach a host, and carry bytes between it and the lab."""
        if self._is_new(message.channel_id):
            hold_id = message.hold.hold_id
            self._start(hold_id, self._carry(message), f"channel {hold_id}")

    def end(self, hold_id: str) -> None:
        """End all that is under way for a hold."""
        for task in self._running.get(hold_id, ()):
            task.cancel()

    async def stop(self) -> None:
        """End everything."""
        running = [task for tasks in self._running.values() for task in tasks]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _is_new(self, call_id: str) -> bool:
        if call_id in self._known:
            return False
        self._known[call_id] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _start(self, hold_id: str, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._tasks.create_task(work, name=name)
        self._running[hold_id].add(task)
        task.add_done_callback(lambda done: self._ended(hold_id, done))

    def _ended(self, hold_id: str, task: asyncio.Task[None]) -> None:
        self._running[hold_id].discard(task)
        if not self._running[hold_id]:
            del self._running[hold_id]

    async def _switch(self, call: stream.SwitchHostPower) -> None:
        done = stream.CallDone(call_id=call.call_id)
        try:
            held, driver = self._find(call.hold)
            if not calls.traits(driver).has_power:
                raise _Refused("NO_POWER_CONTROL", f"{held.hold.resource} has no power control")
            action = _POWER.get(call.action)
            if action is None:
                raise _Refused("DRIVER_FAILED", "this manager does not know that action")
            _log.info("power %s of hold %s, for its holder", action, held.hold.id)
            await calls.power(driver, action, held.hold, _log.debug)
        except (_Refused, DriverError) as error:
            done.reason = getattr(error, "reason", "DRIVER_FAILED")
            done.message = said(error)
        self._known[call.call_id] = done
        self._send(stream.SubscribeRequest(call_done=done))

    async def _carry(self, message: stream.OpenChannel) -> None:
        assert self.carry is not None, "the lab cannot have asked before there is one"
        channel: Channel | None = None
        carried = pb.CarriedChannel(channel_id=message.channel_id)
        try:
            channel = await self._reach(message)
        except (_Refused, DriverError) as error:
            carried.failure.CopyFrom(failure(error))
            _log.info("hold %s: no channel: %s", message.hold.hold_id, error)
        try:
            call = self.carry()
            try:
                await call.write(pb.CarryChannelRequest(channel=carried))
                await (carry_bytes(call, *channel) if channel else farewell(call))
            finally:
                call.cancel()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            _log.info("hold %s: a channel was cut: %s", message.hold.hold_id, error)
        finally:
            if channel is not None:
                # A driver's own channel may raise anything.
                with contextlib.suppress(Exception):
                    channel[1].close()

    async def _reach(self, message: stream.OpenChannel) -> Channel:
        held, driver = self._find(message.hold)
        if message.WhichOneof("target") == "port":
            connection = held.connection or Connection("")
            return await calls.dial(driver, held.hold, connection, message.port)
        if not calls.traits(driver).has_console:
            raise _Refused("NO_CONSOLE", f"{held.hold.resource} has no console")
        return await calls.console(driver, held.hold)

    def _find(self, ref: stream.HoldRef) -> tuple[Held, Driver]:
        """Return a hold that is handed over and its driver."""
        held = self._journal.holds.get(ref.hold_id)
        if held is None or held.phase is not Phase.READY or held.hold.fence != ref.fence:
            raise _Refused("NOT_READY", f"hold {ref.hold_id} is not handed over, or no longer")
        represented = self._fleet.get(held.hold.resource)
        if represented is None:
            raise _Refused("NOT_READY", f"{held.hold.resource} is no longer represented")
        return held, represented.driver

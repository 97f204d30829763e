"""What a held host can do through the lab, for programs that block: power, console, ports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hwprovisioner.client.consoles import AsyncConsole
from hwprovisioner.client.durations import Span
from hwprovisioner.client.forwarding import AsyncForward
from hwprovisioner.client.holding import HeldHost
from hwprovisioner.client.loop_thread import loop_thread
from hwprovisioner.client.reachable import AsyncReachable


class Console:
    """A host's serial console: `with host.console() as console`."""

    def __init__(self, console: AsyncConsole) -> None:
        self._console = console

    def read(self) -> bytes:
        """Waits for what the host says next; nothing when the console has ended.

        Raises:
            LeaseLost: The host is no longer the holder's.
            LabError: The console broke.
        """
        return loop_thread().call(self._console.read())

    def read_until(self, expected: bytes | str, within: Span = "60s") -> bytes:
        """Reads up to some bytes, and gives everything up to their end.

        Args:
            expected: What to wait for, such as `login: `.
            within: For how long.

        Raises:
            LabError: It did not come in time (reason CONSOLE_TIMEOUT), or the console has ended; as
                `read`. What was read meanwhile is read again next.
        """
        return loop_thread().call(self._console.read_until(expected, within))

    def write(self, data: bytes | str) -> None:
        """Types something.

        Raises:
            LeaseLost: The host is no longer the holder's.
            LabError: The console broke.
        """
        loop_thread().call(self._console.write(data))


class Forward:
    """A local port that leads to a port of a host: `with host.forward(80) as forward`.

    Attributes:
        address: Where to connect to: this machine.
        port: The local port.
    """

    def __init__(self, forward: AsyncForward) -> None:
        self.address = forward.address
        self.port = forward.port


class Reachable(HeldHost):
    """A granted host as the lab reaches it."""

    __slots__ = ()

    def _reached(self) -> AsyncReachable:
        """Gives the host for asyncio, if it may be used here."""
        raise NotImplementedError

    def power(self, action: str) -> None:
        """Switches the host's power: `on`, `off` or `cycle`. Returns when it is done.

        Raises:
            LeaseLost: The host must not be used any more.
            BadDemand: There is no such action.
            LabError: It was not done: NO_POWER_CONTROL, DRIVER_FAILED.
        """
        loop_thread().call(self._reached().power(action))

    @contextlib.contextmanager
    def console(self) -> Iterator[Console]:
        """Opens the host's serial console for the length of a block.

        Raises:
            LeaseLost: The host must not be used any more.
            LabError: It could not be opened: NO_CONSOLE, DRIVER_FAILED.
        """
        block = self._reached().console()
        console = loop_thread().call(block.__aenter__())
        try:
            yield Console(console)
        finally:
            loop_thread().call(block.__aexit__(None, None, None))

    @contextlib.contextmanager
    def forward(self, port: int, local_port: int = 0) -> Iterator[Forward]:
        """Has a local port lead to a port of the host, for the length of a block.

        Args:
            port: A TCP port of the host, as seen from where the host is.
            local_port: The local one; 0: any that is free, which `port` of what is given says.

        Raises:
            LeaseLost: The host must not be used any more.
            BadDemand: That is no port.
            LabError: The local port cannot be had.
        """
        block = self._reached().forward(port, local_port)
        forward = loop_thread().call(block.__aenter__())
        try:
            yield Forward(forward)
        finally:
            loop_thread().call(block.__aexit__(None, None, None))

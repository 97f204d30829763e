"""The first serial port of a domain as a channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import libvirt

from hwprovisioner.resourcemanager.drivers._libvirt_host import borrow, failures_told, give_back
from hwprovisioner.resourcemanager.drivers._terminal import Terminal
from hwprovisioner.resourcemanager.threads import in_thread, seen_through

_CHUNK = 65_536
#: What libvirt's calls return that would have to wait.
_NOT_NOW = -2
#: How long to wait before what could not be typed is tried again.
_AGAIN_S = 0.05
_EVENTS = (
    libvirt.VIR_STREAM_EVENT_READABLE
    | libvirt.VIR_STREAM_EVENT_ERROR
    | libvirt.VIR_STREAM_EVENT_HANGUP
)


class Console(Terminal):
    """Takes a chunk when it is asked for one, so that what nobody reads is not kept here."""

    def __init__(self, uri: str, stream: libvirt.virStream) -> None:
        """Take over a stream on which a console was opened, and its connection with it."""
        super().__init__()
        self._uri = uri
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        #: Nothing is the end.
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_watched = self._is_over = False

    @classmethod
    async def attach(
        cls, uri: str, find: Callable[[libvirt.virConnect], libvirt.virDomain]
    ) -> Console:
        """Open the console of a domain that runs.

        Raises:
            DriverError: It does not run, or somebody has its console open.
        """
        opening = asyncio.ensure_future(in_thread(_open, uri, find))
        try:
            return cls(uri, await seen_through(opening))
        except asyncio.CancelledError:
            if opening.exception() is None:
                await in_thread(_leave, uri, opening.result())
            raise

    async def next_chunk(self) -> bytes:
        """Return what the machine says next."""
        if self._is_over:
            return b""
        if self._said.empty():
            await in_thread(self._watch)
        data = await self._said.get()
        self._is_over = not data
        return data

    async def type_chunk(self, data: bytes) -> bool:
        """Type bytes."""
        while data:
            try:
                count = await in_thread(self._stream.send, data)
            except libvirt.libvirtError:
                return False
            if count == _NOT_NOW:
                await asyncio.sleep(_AGAIN_S)
            else:
                data = data[count:]
        return True

    async def release(self) -> None:
        """Leave the console to the next."""
        self._said.put_nowait(b"")
        await in_thread(_leave, self._uri, self._stream)

    def _watch(self) -> None:
        """Have libvirt call once there is something to read."""
        try:
            if self._is_watched:
                self._stream.eventUpdateCallback(_EVENTS)
            else:
                self._is_watched = True
                self._stream.eventAddCallback(_EVENTS, self._on_event, None)
        except libvirt.libvirtError:
            self._tell(b"")

    def _on_event(self, stream: libvirt.virStream, events: int, opaque: object) -> None:
        """Take one chunk, in libvirt's thread, and no other before that is read."""
        data: bytes | int = b""
        with contextlib.suppress(libvirt.libvirtError):
            stream.eventUpdateCallback(0)
            if events & libvirt.VIR_STREAM_EVENT_READABLE:
                data = stream.recv(_CHUNK)
        if isinstance(data, bytes):
            self._tell(data)
        else:
            self._watch()

    def _tell(self, data: bytes) -> None:
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._said.put_nowait, data)


def _open(uri: str, find: Callable[[libvirt.virConnect], libvirt.virDomain]) -> libvirt.virStream:
    with failures_told(uri):
        host = borrow(uri)
        try:
            stream = host.newStream(libvirt.VIR_STREAM_NONBLOCK)
            find(host).openConsole(None, stream, 0)
        except BaseException:
            give_back(uri, host)
            raise
    return stream


def _leave(uri: str, stream: libvirt.virStream) -> None:
    for end in (stream.eventRemoveCallback, stream.abort):
        with contextlib.suppress(libvirt.libvirtError):
            end()
    give_back(uri, stream.connect())

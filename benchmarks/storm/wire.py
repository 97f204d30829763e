"""One gRPC call on an HTTP/2 connection of its own, at a fraction of what a gRPC client costs.

Just enough of RFC 9113 for one stream of messages to and fro, and no less: settings and pings are
acknowledged, what was received is credited, and what may be sent is not overdrawn.
"""

import asyncio
import enum
import struct
from collections.abc import Callable
from typing import cast

from hpack import Decoder, Encoder

_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">BHBBI")
_MESSAGE = struct.Struct(">BI")
_STREAM = 1
_WINDOW = 65_535
"""So much each side may send before it is credited more, unless settings say otherwise."""
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE = 1, 2, 4


class _Kind(enum.IntEnum):
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    WINDOW_UPDATE = 8


def opening(method: str) -> bytes:
    """Return what a connection begins with, up to the message with which `method` is called."""
    # Header blocks without memory: each can be read by itself, and most need not be.
    settings = struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0)
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method),
        (":authority", "storm"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    block = Encoder().encode(headers)
    return (
        _PREFACE
        + _frame(_Kind.SETTINGS, 0, 0, settings)
        + _frame(_Kind.HEADERS, _END_HEADERS, _STREAM, block)
    )


class Call(asyncio.Protocol):
    """A call from the connection's being made to its loss.

    Attributes:
        ended: done when the call is over; its result says how.
    """

    def __init__(
        self, begin: bytes, first: bytes, on_message: Callable[[bytes], None], *, is_last: bool
    ) -> None:
        """Begin with an `opening` and a first message, after which more may come or not."""
        self._is_met = False
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._begin = begin
        self._first = first, is_last
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._frames = bytearray()
        self._messages = bytearray()
        self._owed = 0
        self._credits = {0: _WINDOW, _STREAM: _WINDOW}

    def send(self, message: bytes, *, is_last: bool = False) -> None:
        """Send a message."""
        self._write(self._packed(message, is_last=is_last))

    def end_unless_met(self) -> None:
        """Give the call up if the other side has not even said that it speaks HTTP/2."""
        if not self._is_met:
            self._end("nobody spoke HTTP/2")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say the first."""
        self._transport = cast(asyncio.Transport, transport)
        message, is_last = self._first
        self._write(self._begin + self._packed(message, is_last=is_last))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing comes any more."""
        self._end(f"the connection was lost: {exc or 'closed'}")

    def data_received(self, data: bytes) -> None:
        """Take all frames that are complete."""
        self._frames += data
        begin = 0
        while len(self._frames) - begin >= _FRAME.size:
            high, low, kind, flags, stream = _FRAME.unpack_from(self._frames, begin)
            end = begin + _FRAME.size + (high << 16 | low)
            if end > len(self._frames):
                break
            self._take(kind, flags, stream, bytes(self._frames[begin + _FRAME.size : end]))
            begin = end
        del self._frames[:begin]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case _Kind.DATA:
                self._take_data(payload)
            case _Kind.HEADERS if flags & _END_STREAM:
                self._end(_status(payload))
            case _Kind.RST_STREAM:
                self._end(f"the stream was reset, {payload.hex()}")
            case _Kind.SETTINGS if not flags & _ACK:
                self._take_settings(payload)
            case _Kind.PING if not flags & _ACK:
                self._write(_frame(_Kind.PING, _ACK, 0, payload))
            case _Kind.WINDOW_UPDATE:
                self._credits[stream] += int.from_bytes(payload)

    def _take_settings(self, payload: bytes) -> None:
        self._is_met = True
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW_SIZE:
                self._credits[_STREAM] += value - _WINDOW
        self._write(_frame(_Kind.SETTINGS, _ACK, 0, b""))

    def _take_data(self, payload: bytes) -> None:
        self._owed += len(payload)
        if self._owed > _WINDOW // 2:
            credit = self._owed.to_bytes(4)
            self._write(b"".join(_frame(_Kind.WINDOW_UPDATE, 0, n, credit) for n in (0, _STREAM)))
            self._owed = 0
        self._messages += payload
        while len(self._messages) >= _MESSAGE.size:
            _, length = _MESSAGE.unpack_from(self._messages)
            end = _MESSAGE.size + length
            if end > len(self._messages):
                break
            message = bytes(self._messages[_MESSAGE.size : end])
            del self._messages[:end]
            self._on_message(message)

    def _packed(self, message: bytes, *, is_last: bool) -> bytes:
        payload = _MESSAGE.pack(0, len(message)) + message
        for stream in self._credits:
            self._credits[stream] -= len(payload)
            assert self._credits[stream] >= 0, "more is sent than the other side takes in"
        return _frame(_Kind.DATA, _END_STREAM if is_last else 0, _STREAM, payload)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _end(self, how: str) -> None:
        if not self.ended.done():
            self.ended.set_result(how)
        if self._transport is not None:
            self._transport.abort()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    high, low = divmod(len(payload), 1 << 16)
    return _FRAME.pack(high, low, kind, flags, stream) + payload


def _status(block: bytes) -> str:
    trailers = {str(name): str(value) for name, value in Decoder().decode(block)}
    return f"status {trailers.get('grpc-status')}: {trailers.get('grpc-message', '')}"

"""The one place where exceptions become statuses."""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from hwprovisioner.serving.errors import (
    Refusal,
    Refused,
    Status,
    internal_error,
    is_refusal,
    status_of,
)
from hwprovisioner.serving.unread import Writing

_log = logging.getLogger(__name__)

_RequestT = TypeVar("_RequestT")
_ResponseT = TypeVar("_ResponseT")
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Decode = Callable[[bytes], Any]
_Message = Any
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_Write = Callable[[_Context, _Message], Awaitable[None]]


UNREAD_LIMIT_S = 60.0
"""A caller that only listens, and reads nothing for so long, is cut off."""


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Answers refusals with their status, and whatever else escapes with INTERNAL.

    The latter is logged with its traceback. What is no message of the method's type is refused as
    BAD_REQUEST. A status that a handler aborts with itself passes, and so does cancellation.
    Handlers are coroutine functions or asynchronous generators.
    """

    def __init__(self) -> None:
        # The handlers of a server never change, and wrapping for each call would cost the hot path.
        self._wrapped: dict[str, tuple[_Handler, _Handler]] = {}
        self._writing = Writing(UNREAD_LIMIT_S)

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails],
            "Awaitable[grpc.RpcMethodHandler[_RequestT, _ResponseT] | None]",
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[_RequestT, _ResponseT] | None":
        """Return the method's handler, wrapped; none if there is no such method (UNIMPLEMENTED)."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = self._wrapped[method] = (handler, self._wrap(method, handler))
        return known[1]

    def _wrap(self, method: str, handler: _Handler) -> _Handler:
        decode: _Decode | None = handler.request_deserializer
        # Who speaks as well may have the other side wait: a console whose user looks away.
        write: _Write = _write
        match (handler.request_streaming, handler.response_streaming):
            case (False, False):
                make, behaviour = grpc.unary_unary_rpc_method_handler, handler.unary_unary
            case (False, True):
                make, behaviour = grpc.unary_stream_rpc_method_handler, handler.unary_stream
                write = self._writing.write
            case (True, False):
                make, behaviour = grpc.stream_unary_rpc_method_handler, handler.stream_unary
            case _:
                make, behaviour = grpc.stream_stream_rpc_method_handler, handler.stream_stream
        if decode is not None:
            decode = _raising(decode) if handler.request_streaming else _noting(decode)
        assert behaviour is not None, f"{method} has no behaviour of its own kind"
        call = _drain(behaviour, write) if inspect.isasyncgenfunction(behaviour) else behaviour
        if handler.request_streaming and handler.response_streaming:
            call = _opened(call)
        return make(_guarded(method, call), decode, handler.response_serializer)


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Stands in for a request that is none, as gRPC answers UNKNOWN if its deserializer raises."""

    message: str


def _guarded(method: str, call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a coroutine function that ends with a status whatever the call raises."""

    async def guarded(request: _Message, context: _Context) -> _Message:
        try:
            if type(request) is _Undecodable:
                raise _not_a_message(request.message)
            return await call(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            status = _status_for(method, error)
        try:
            await context.abort_with_status(status)
        except grpc.aio.InternalError:
            _log.info("%s: the caller has gone", method)
            # So does gRPC end a call whose caller has cancelled it.
            raise asyncio.CancelledError from None

    return guarded


def _opened(call: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    """Return a coroutine function that may give its first write up.

    grpc.aio sends the initial metadata with the first write, and believes that it has only once
    that is done. If it was given up before, they are sent again with the status, which gRPC refuses
    (TOO_MANY_OPERATIONS): so the call would never end.
    """

    async def opened(requests: _Message, context: _Context) -> None:
        await context.send_initial_metadata(())
        await call(requests, context)

    return opened


def _drain(generate: Callable[..., Any], write: _Write) -> Callable[..., Awaitable[None]]:
    async def drain(request: _Message, context: _Context) -> None:
        async with contextlib.aclosing(generate(request, context)) as responses:
            async for response in responses:
                await write(context, response)

    return drain


async def _write(context: _Context, response: _Message) -> None:
    await context.write(response)


def _status_for(method: str, error: Exception) -> Status:
    if (refusal := _refusal_in(error)) is not None:
        return status_of(refusal)
    if _is_of_the_way(error):
        _log.info("%s: the caller has gone", method)
        return internal_error()
    _log.error("%s failed", method, exc_info=error, extra={"method": method})
    return internal_error()


def _refusal_in(error: BaseException) -> Refusal | None:
    """Return the refusal that an exception is.

    Of a group, which is what a `TaskGroup` raises, it is the first if all are refusals.
    """
    if isinstance(error, BaseExceptionGroup):
        inner = [_refusal_in(each) for each in error.exceptions]
        return inner[0] if all(inner) else None
    return error if is_refusal(error) else None


def _is_of_the_way(error: BaseException) -> bool:
    """Say whether a call failed only because what it wrote could not be sent any longer."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_the_way(each) for each in error.exceptions)
    return isinstance(error, grpc.aio.InternalError)


def _noting(decode: _Decode) -> _Decode:
    def noting(data: bytes) -> _Message:
        try:
            return decode(data)
        except DecodeError as error:
            return _Undecodable(str(error))

    return noting


def _raising(decode: _Decode) -> _Decode:
    def raising(data: bytes) -> _Message:
        try:
            return decode(data)
        except DecodeError as error:
            raise _not_a_message(str(error)) from None

    return raising


def _not_a_message(said: str) -> Refused:
    return Refused("BAD_REQUEST", f"the request cannot be read: {said}", violations=[("", said)])

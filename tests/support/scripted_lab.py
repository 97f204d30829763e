"""A lab that does what a test says: the server's side of `Subscribe` on a real port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from hwprovisioner.v1 import manager_stream_pb2 as stream

LIMIT_S = 40.0


class Session:
    """One stream of a manager."""

    def __init__(self, register: stream.Register, context: Any) -> None:
        self.register = register
        self.heard: list[stream.SubscribeRequest] = []
        self.ended = asyncio.Event()
        self._context = context
        self._news = asyncio.Condition()
        self._end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def say(self, **event: Any) -> None:
        await self._context.write(stream.SubscribeResponse(**event))

    async def offer(self, hold_id: str, fence: int, resource: str = "box", **more: Any) -> None:
        ref = stream.HoldRef(hold_id=hold_id, fence=fence)
        await self.say(offer=stream.Offer(hold=ref, resource=resource, **more))

    async def release(
        self, hold_id: str, fence: int, resource: str = "box", *, begun: bool = True
    ) -> None:
        ref = stream.HoldRef(hold_id=hold_id, fence=fence)
        release = stream.Release(hold=ref, resource=resource, reason="released", begun=begun)
        await self.say(release=release)

    async def look_after(
        self, resource: str = "box", reason: str = "suspected", look: int = 1
    ) -> None:
        await self.say(look_after=stream.LookAfter(resource=resource, reason=reason, look=look))

    async def refuse(self, reason: str, hold_id: str) -> None:
        await self.say(refused=stream.Refused(reason=reason, hold_id=hold_id, message="no"))

    async def hear(self, kind: str, **fields: Any) -> Any:
        """Wait for a message of a kind with these fields that is not taken yet, and take it."""
        async with asyncio.timeout(LIMIT_S), self._news:
            while (found := self._find(kind, fields)) is None:
                if self.ended.is_set():
                    raise AssertionError(f"the stream ended without {kind} {fields}")
                await self._news.wait()
        self.heard.remove(found)
        return getattr(found, kind)

    def events(self) -> list[str]:
        """Return the kinds of what was heard and not taken."""
        return [str(message.WhichOneof("event")) for message in self.heard]

    def end(self, code: grpc.StatusCode, details: str = "", trailing: Any = ()) -> None:
        """End the stream with a status."""
        self._end.set_result((code, details, trailing))

    async def live(self) -> None:
        async def read() -> None:
            while True:
                message = await self._context.read()
                if message is grpc.aio.EOF:
                    return
                async with self._news:
                    self.heard.append(message)
                    self._news.notify_all()

        reading = asyncio.create_task(read())
        try:
            await asyncio.wait([reading, self._end], return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            self.ended.set()
            with contextlib.suppress(RuntimeError):
                async with self._news:
                    self._news.notify_all()
        if self._end.done():
            code, details, trailing = self._end.result()
            await self._context.abort(code, details, trailing)

    def _find(self, kind: str, fields: dict[str, Any]) -> stream.SubscribeRequest | None:
        for message in self.heard:
            if message.WhichOneof("event") == kind:
                body = getattr(message, kind)
                if all(_field(body, name) == value for name, value in fields.items()):
                    return message
        return None


def _field(body: Any, name: str) -> Any:
    if name in ("hold_id", "fence"):
        return getattr(body.hold, name)
    return getattr(body, name)


class ScriptedLab:
    """Answers each registration with `registered` unless told otherwise; the test does the rest."""

    def __init__(self) -> None:
        self.port = 0
        self.silence_s = 30
        self.refusal: tuple[grpc.StatusCode, str, Any] | None = None
        self._sessions: asyncio.Queue[Session] = asyncio.Queue()
        self._server: grpc.aio.Server | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handler = grpc.stream_stream_rpc_method_handler(
            self.subscribe,
            request_deserializer=stream.SubscribeRequest.FromString,
            response_serializer=stream.SubscribeResponse.SerializeToString,
        )
        name = "hwprovisioner.v1.AllocateService"
        methods = {"Subscribe": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def session(self) -> Session:
        """Wait for the next stream that registers."""
        async with asyncio.timeout(LIMIT_S):
            return await self._sessions.get()

    async def subscribe(self, requests: Any, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        assert first.WhichOneof("event") == "register", first
        if self.refusal is not None:
            await context.abort(*self.refusal)
        session = Session(first.register, context)
        registered = stream.Registered(epoch=1)
        registered.silence_limit.FromMilliseconds(round(self.silence_s * 1000))
        await session.say(registered=registered)
        self._sessions.put_nowait(session)
        await session.live()


@contextlib.asynccontextmanager
async def scripted_lab() -> AsyncIterator[ScriptedLab]:
    lab = ScriptedLab()
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()

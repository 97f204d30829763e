"""A client that asks and is gone at once, as one that was killed: its lease is all that ends it."""

import asyncio
import contextlib
import random
import uuid

import grpc.aio

from chaos.desk import LIMIT_S, Desk, Holder, outcome_of
from chaos.history import Recorder, hashed
from chaos.life import LEASES_S, OUTCOME_LIMIT_S
from hwprovisioner.v1.allocation_pb2 import Requestor
from support.asking import new_request, wanting
from support.eventually import eventually


async def live(desk: Desk, history: Recorder, chance: random.Random) -> None:
    """Ask once, never beat, and find out later what became of it.

    All are one user, who has so much that others go first.
    """
    ttl_s = chance.choice(LEASES_S)
    request = new_request(
        wanting(h0={"cpus": "1"}),
        request_id=str(uuid.UUID(int=chance.getrandbits(128))),
        lease_ttl=ttl_s,
        requestor=Requestor(user="ghost"),
    )
    number = history.call("allocate", request=hashed(request.request_id), hosts=1)
    stream = desk.allocate(chance).Allocate(request, timeout=LIMIT_S)
    try:
        answer = await anext(aiter(stream))
    except grpc.aio.AioRpcError as error:
        history.answer(number, **outcome_of(error))
        return
    finally:
        stream.cancel()
    holder = Holder(desk, history, chance)
    holder.allocation, holder.token = answer.update.allocation.id, answer.token
    history.answer(number, "ok", allocation=holder.allocation, token=hashed(holder.token))
    await asyncio.sleep(ttl_s)
    with contextlib.suppress(AssertionError):  # the checker judges what it was told
        await eventually(holder.look, within=OUTCOME_LIMIT_S)

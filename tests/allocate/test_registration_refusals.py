"""What managers say that cannot be is refused, and changes nothing."""

from typing import Any

import grpc
import grpc.aio
import pytest

from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from support.asking import asking
from support.fake_manager import machine, manager
from support.registering import listed, refused, register
from support.services import Running


def held_with(**share: Any) -> stream.HeldHold:
    hold = stream.HoldRef(hold_id="r.1", fence=1)
    return stream.HeldHold(hold=hold, share=resource_pb2.Share(**share))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"manager_id": ""}, ["register.manager_id"]),
        ({"manager_id": "No Spaces"}, ["register.manager_id"]),
        ({"version": "v" * 200}, ["register.version"]),
        (
            {"inventory": [machine("a"), machine("a"), machine("B", cpus=-1)]},
            [
                "register.inventory[1].name",
                "register.inventory[2].name",
                "register.inventory[2].cpus",
            ],
        ),
        ({"inventory": [machine("a", kind=0)]}, ["register.inventory[0].kind"]),
        ({"inventory": [machine("r")] * 10_001}, ["register.inventory"]),
        (
            {"holds": [stream.HeldHold(hold=stream.HoldRef(hold_id="r.1"))] * 20_001},
            ["register.holds"],
        ),
        (
            {"holds": [stream.HeldHold(hold=stream.HoldRef(hold_id="../etc"))]},
            ["register.holds[0].hold.hold_id"],
        ),
        (
            {"cleaned": [stream.HoldRef(hold_id="r.1")] * 1_001},
            ["register.cleaned"],
        ),
        ({"cleaned": [stream.HoldRef(hold_id="r")]}, ["register.cleaned[0].hold_id"]),
        ({"fences": {"a": -1}}, ["register.fences['a']"]),
        ({"fences": {"a": 2**53 + 1}}, ["register.fences['a']"]),
        (
            {"holds": [held_with(cpus=-1, memory_bytes=2**60), held_with(gpus=[1, 1])]},
            [
                "register.holds[0].share.cpus",
                "register.holds[0].share.memory_bytes",
                "register.holds[1].share.gpus",
            ],
        ),
        ({"holds": [held_with(gpus=[-1])]}, ["register.holds[0].share.gpus"]),
    ],
)
async def test_a_registration_with_rubbish_names_the_fields_and_changes_nothing(
    service: Running, fields: dict[str, Any], wrong: list[str]
) -> None:
    async with manager(service.stub, "good", [machine("ok")]), asking(service.stub) as asked:
        answer = await refused(service, register(**fields))
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
        assert answer.fields == wrong
        assert set(await listed(service)) == {"ok"}
        await asked.until("ready")


@pytest.mark.parametrize(
    "messages",
    [
        [stream.SubscribeRequest(pong=stream.Pong())],
        [stream.SubscribeRequest()],
        [stream.SubscribeRequest(volunteer=stream.Volunteer(spec=machine("a")))],
        [register(), register()],
        [register(), stream.SubscribeRequest()],
    ],
)
async def test_messages_out_of_order_end_the_stream(
    service: Running, messages: list[stream.SubscribeRequest]
) -> None:
    answer = await refused(service, *messages)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["event"])

"""A holder's public key: what is taken for one, and who is told of it."""

import subprocess
from pathlib import Path

import pytest

from hwprovisioner.allocate.requests import read_booking, read_request
from hwprovisioner.v1 import allocate_service_pb2 as pb
from support import needs
from support.asking import HOLDER_KEY, LIMIT_S, asking, new_request
from support.fake_manager import machine, manager
from support.refused import violations_of
from support.services import Running

WORD = HOLDER_KEY.split()[1]


def why_not(text: str) -> str:
    """Return what is wrong with a key, and see that its text is not repeated."""
    wrong = violations_of(lambda: read_request(new_request(ssh_public_key=text)))
    assert list(wrong) == ["ssh_public_key"]
    assert WORD[20:] not in wrong["ssh_public_key"]
    with_booking = violations_of(lambda: read_booking(pb.BookRequest(ssh_public_key=text)))
    assert with_booking["ssh_public_key"] == wrong["ssh_public_key"]
    return wrong["ssh_public_key"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{HOLDER_KEY}\n{HOLDER_KEY}", "more than one line"),
        (f"{HOLDER_KEY} bell\x07", "cannot be printed"),
        (f'command="rm -rf ~" {HOLDER_KEY}', "does not begin with one of ssh-ed25519"),
        (f"ssh-dss {WORD}", "does not begin with one of"),
        (WORD, "does not begin with one of"),
        ("ssh-ed25519", "is no ssh-ed25519 key: it is cut off"),
        (f"ssh-ed25519 {WORD[:-4]}", "cut off"),
        (f"ssh-ed25519 {WORD[:-1]}", "cut off"),
        (f"ssh-ed25519 {WORD[:10]}!{WORD[11:]}", "changed"),
        (f"ssh-rsa {WORD}", "is no ssh-rsa key"),
        (f"{HOLDER_KEY} {'x' * 4_096}", "has 4,177 characters, at most 4,096 are allowed"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "is a private key"),
    ],
)
def test_what_is_no_public_key_is_refused_with_the_reason(text: str, why: str) -> None:
    assert why in why_not(text)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_what_ssh_keygen_makes_is_taken(tmp_path: Path, kind: str) -> None:
    keygen = needs.program("ssh-keygen")
    subprocess.run([keygen, "-q", "-t", kind, "-N", "", "-f", tmp_path / "key"], check=True)
    text = (tmp_path / "key.pub").read_text()
    assert read_request(new_request(ssh_public_key=text)).ssh_public_key == text.strip()


async def test_the_manager_is_told_and_nobody_else(service: Running) -> None:
    request = new_request(ssh_public_key=HOLDER_KEY)
    async with manager(service.stub, "m", [machine("a")]) as agent:
        async with asking(service.stub, request) as holder:
            await holder.until("ready")
            assert (await agent.hear("offer")).ssh_public_key == HOLDER_KEY
            listed = await service.stub.ListAllocations(
                pb.ListAllocationsRequest(), timeout=LIMIT_S
            )
            assert [each.id for each in listed.allocations] == [holder.id]
            for told in (*listed.allocations, *holder.updates):
                assert WORD not in str(told)


async def test_the_same_request_may_come_with_another_key(service: Running) -> None:
    request = new_request(ssh_public_key=HOLDER_KEY)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub, request) as first:
        await first.until("ready")
        request.ssh_public_key = ""
        async with asking(service.stub, request) as second:
            assert second.id == first.id


async def test_two_keys_are_one_matching_class(service: Running) -> None:
    other = HOLDER_KEY.replace("E/1z", "E/1y")
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        for key in (HOLDER_KEY, other):
            async with asking(service.stub, new_request(ssh_public_key=key)) as waiting:
                assert waiting.events == ["queued"]
                waits = await service.stub.ListWaitTimes(pb.ListWaitTimesRequest(), timeout=LIMIT_S)
                assert len(waits.classes) == 1

"""A Redis that sentinels name: asked for with each connection, and never a replica."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hwprovisioner.state.address import Address
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.link import Link
from hwprovisioner.state.pubsub import Ear
from support.eventually import eventually
from support.redis_server import RedisServer, free_port
from support.sentinels import watched_pair

URL = "redis+sentinel://ada:p%40ss@10.0.0.1,[::1]:26380/lab/3?sentinel_password=s3cret"


def test_an_address_is_read_and_shown_without_its_passwords() -> None:
    address = Address.from_url(URL)
    assert address.sentinels == (("10.0.0.1", 26379), ("::1", 26380))
    assert (address.master, address.database, address.host) == ("lab", 3, "")
    assert (address.user, address.password) == ("ada", "p@ss")
    assert address.sentinel_password == "s3cret"
    assert str(address) == "redis+sentinel://10.0.0.1:26379,[::1]:26380/lab/3"
    assert "s3cret" not in repr(address)
    assert "p@ss" not in repr(address)


def test_all_of_them_speak_tls_or_none_does() -> None:
    address = Address.from_url("rediss+sentinel://a/lab?ssl_cert_reqs=none")
    assert (address.tls, address.database) == (True, 0)
    assert str(address) == "rediss+sentinel://a:26379/lab/0"
    assert address.tls_context() is not None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel:///lab/0",
        "redis+sentinel://a",
        "redis+sentinel://a,,b/lab",
        "redis+sentinel://a/lab/x",
        "redis+sentinel://a:x/lab",
        "unix+sentinel://a/lab",
    ],
)
def test_what_names_no_sentinels_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Address.from_url(url)


async def test_it_is_asked_for_again_when_another_one_has_taken_over() -> None:
    with watched_pair() as pair:
        heard: list[str] = []
        ear = Ear(pair.url, client_name="ear")
        ear.on("said", lambda _, words: heard.append(words))
        async with Link(pair.url) as link, ear.link:
            await link.wait_connected()
            assert (await link.call("ROLE"))[0] == "master"
            await link.call("SET", "known", "to both")
            await eventually(lambda: b"to both" in pair.second.command("GET known"))
            pair.cut_off()
            await link.call("SET", "known", "to one")
            pair.first.kill()
            await eventually(lambda: not link.connected)
            await link.wait_connected()
            assert await link.call("GET", "known") == "to both", "the tail is lost"

            await ear.link.wait_connected()
            await link.call("PUBLISH", "said", "by the other")
            await eventually(lambda: heard == ["by the other"])


@pytest.fixture
async def nobody() -> AsyncIterator[int]:
    """A port where somebody listens who never says anything."""

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stay, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_whoever_does_not_say_is_passed_over_and_told(
    redis_server: RedisServer, nobody: int
) -> None:
    closed = free_port()
    hosts = f"127.0.0.1:{nobody},127.0.0.1:{closed},127.0.0.1:{redis_server.port}"
    async with Link(f"redis+sentinel://{hosts}/lab/0", patience_ms=1) as link:
        await eventually(lambda: "no sentinel" in link.why_away)
        with pytest.raises(StateUnavailable, match="no sentinel names the master lab") as failure:
            await link.call("PING")
    said = str(failure.value)
    assert f"127.0.0.1:{nobody} does not answer" in said
    assert f"127.0.0.1:{closed}: [Errno 111]" in said
    assert f"127.0.0.1:{redis_server.port}: unknown command" in said.replace("ERR ", "")

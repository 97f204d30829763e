import asyncio
import contextlib
import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.link import Link, full_jitter_s
from hwprovisioner.state.resp import CommandRefused
from hwprovisioner.state.scripts import Script
from support.eventually import eventually
from support.redis_server import RedisServer, running
from support.tcp_proxy import TcpProxy, proxy_to

ECHO = Script("echo", "return {KEYS[1], ARGV[1], 7, false}", "")


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    async with Link(redis_url) as link:
        yield link


@pytest.fixture
async def proxy(redis_server: RedisServer, redis_url: str) -> AsyncIterator[TcpProxy]:
    async with proxy_to(redis_server.port) as proxy:
        yield proxy


def through(proxy: TcpProxy, *, timeout_ms: int = 5000) -> Link:
    return Link(f"redis://127.0.0.1:{proxy.port}/0", timeout_ms=timeout_ms)


def echo_script() -> Script:
    sha = hashlib.sha1(ECHO.text.encode(), usedforsecurity=False).hexdigest()
    return Script(ECHO.name, ECHO.text, sha)


async def test_a_call_returns_the_reply_as_text(link: Link) -> None:
    assert await link.call("SET", "name", "Grüße") == "OK"
    assert await link.call("GET", "name") == "Grüße"
    assert await link.call("GET", "nothing") is None
    assert await link.call("INCRBY", "count", 5) == 5


async def test_replies_are_matched_in_order_among_many_calls_at_once(link: Link) -> None:
    replies = await asyncio.gather(*(link.call("ECHO", str(n)) for n in range(1000)))
    assert replies == [str(n) for n in range(1000)]


async def test_calls_of_one_loop_turn_are_written_at_once(link: Link) -> None:
    await link.call("PING")
    connection = link._connection
    assert connection is not None
    with mock.patch.object(connection, "_transport", wraps=connection._transport) as transport:
        await asyncio.gather(*(link.call("ECHO", str(n)) for n in range(100)))
    assert transport.write.call_count == 1


async def test_an_error_reply_is_raised_and_disturbs_nobody_else(link: Link) -> None:
    replies = await asyncio.gather(
        link.call("LPUSH"), link.call("ECHO", "fine"), return_exceptions=True
    )
    assert isinstance(replies[0], CommandRefused)
    assert replies[0].word == "ERR"
    assert replies[1] == "fine"


async def test_cancelled_callers_do_not_shift_the_replies_of_others(proxy: TcpProxy) -> None:
    async with through(proxy) as link:
        await link.call("PING")
        proxy.hold_replies()
        tasks = [asyncio.create_task(link.call("ECHO", str(n))) for n in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        proxy.release_replies()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
    assert replies[1::2] == [str(n) for n in range(1, 100, 2)]
    assert all(isinstance(reply, asyncio.CancelledError) for reply in replies[::2])


async def test_a_script_is_loaded_when_redis_does_not_know_it(link: Link) -> None:
    assert await link.call("SCRIPT", "FLUSH") == "OK"
    for _ in range(2):
        reply = await link.call_script(echo_script(), ["{a}"], ["b"])
        assert reply == ["{a}", "b", 7, None]


async def test_a_cut_connection_fails_what_is_under_way_and_nothing_is_sent_twice(
    proxy: TcpProxy, link: Link
) -> None:
    async with through(proxy) as cut_link:
        await cut_link.call("PING")
        proxy.dropping = True
        call = asyncio.create_task(cut_link.call("INCR", "count"))
        await proxy.dropped.wait()
        proxy.cut()
        with pytest.raises(StateUnavailable) as failure:
            await call
        proxy.dropping = False
        assert failure.value.reason == "STATE_UNAVAILABLE"
        assert failure.value.retry_after_ms > 0
        assert await cut_link.call("GET", "count") == "1"
    assert proxy.connections == 2


async def test_it_reconnects_by_itself_and_tells_its_listeners(proxy: TcpProxy) -> None:
    told: list[bool] = []
    async with through(proxy) as link:
        link.listen(told.append)
        await link.wait_connected()
        proxy.cut()
        await eventually(lambda: told == [False, True, False, True])
        assert await link.call("PING") == "PONG"


async def test_a_call_without_redis_fails_within_its_patience() -> None:
    async with Link("redis://127.0.0.1:1/0", patience_ms=20) as link:
        with pytest.raises(StateUnavailable, match=r"127\.0\.0\.1:1/0 is away"):
            await link.call("PING")
        assert not link.connected


async def test_a_call_waits_for_a_connection_that_is_being_made(redis_url: str) -> None:
    async with Link(redis_url) as link:
        assert not link.connected
        assert await link.call("PING") == "PONG"


async def test_a_redis_that_is_silent_is_given_up_and_found_again(proxy: TcpProxy) -> None:
    async with through(proxy, timeout_ms=100) as link:
        await link.call("PING")
        proxy.dropping = True
        with pytest.raises(StateUnavailable, match="has not answered"):
            await link.call("PING")
        proxy.dropping = False
        await eventually(lambda: link.connected)
        assert await link.call("PING") == "PONG"


async def test_an_idle_redis_that_falls_silent_is_noticed(proxy: TcpProxy) -> None:
    async with through(proxy, timeout_ms=100) as link:
        await link.call("PING")
        proxy.dropping = True
        await eventually(lambda: not link.connected)


async def test_everything_goes_on_after_redis_was_killed() -> None:
    with running() as server:
        async with Link(server.url, patience_ms=20) as link:
            await link.call_script(echo_script(), ["{a}"], ["b"])
            server.kill()
            await eventually(lambda: not link.connected)
            with pytest.raises(StateUnavailable):
                await link.call("PING")
            server.start()
            await eventually(lambda: link.connected)
            # The new process does not know the script.
            assert (await link.call_script(echo_script(), ["{a}"], ["b"]))[1] == "b"


async def test_a_closed_link_fails_calls_at_once(redis_url: str) -> None:
    async with Link(redis_url, patience_ms=3_600_000) as link:
        await link.call("PING")
    with pytest.raises(StateUnavailable, match="closed"):
        await link.call("PING")


async def test_closing_fails_what_is_under_way(proxy: TcpProxy) -> None:
    async with through(proxy) as link:
        await link.call("PING")
        proxy.hold_replies()
        call = asyncio.create_task(link.call("PING"))
        await asyncio.sleep(0)
    with pytest.raises(StateUnavailable, match="closed"):
        await call


async def test_a_unix_socket_and_a_database_are_taken_from_the_url(
    redis_server: RedisServer, link: Link
) -> None:
    async with Link(f"{redis_server.unix_url}?db=3", client_name="hwp-test") as other:
        await other.call("SET", "here", "3")
        assert "db=3" in await other.call("CLIENT", "LIST")
        assert "name=hwp-test" in await other.call("CLIENT", "LIST")
    assert await link.call("GET", "here") is None


async def test_user_and_password_are_taken_from_the_url(link: Link, redis_url: str) -> None:
    await link.call("ACL", "SETUSER", "ada", "reset", "on", ">p@ss/wörd", "~*", "+@all", "-client")
    try:
        secret = "p%40ss%2Fw%C3%B6rd"
        async with Link(redis_url.replace("//", f"//ada:{secret}@")) as known:
            assert await known.call("ACL", "WHOAMI") == "ada"
        async with Link(redis_url.replace("//", "//ada:wrong@"), patience_ms=1) as unknown:
            await eventually(lambda: "WRONGPASS" in unknown.why_away)
            with pytest.raises(StateUnavailable, match="WRONGPASS") as failure:
                await unknown.call("PING")
            assert "wrong@" not in str(failure.value)
            assert "wrong@" not in repr(unknown.address)
    finally:
        await link.call("ACL", "DELUSER", "ada")


async def test_tls_is_spoken_and_the_certificate_is_checked(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with proxy_to(redis_server.port, tls=context) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0"
        async with Link(f"{url}?ssl_ca_certs={certificate}") as trusting:
            assert await trusting.call("PING") == "PONG"
        async with Link(f"{url}?ssl_cert_reqs=none") as careless:
            assert await careless.call("PING") == "PONG"
        async with Link(url) as careful:
            await eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in careful.why_away)
            assert not careful.connected


def self_signed(folder: Path) -> Path:
    """Make a certificate for loopback, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hwp-test")])
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


async def test_a_replica_is_not_written_to(link: Link) -> None:
    await link.call("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StateUnavailable, match="READONLY"):
            await link.call("SET", "a", "b")
    finally:
        await eventually(lambda: link.connected)
        await link.call("REPLICAOF", "NO", "ONE")


async def test_rubbish_from_the_other_side_cuts_the_connection() -> None:
    async def talk_rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(talk_rubbish, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with Link(f"redis://127.0.0.1:{port}") as link:
            await eventually(lambda: "makes no sense" in link.why_away)
            assert not link.connected


def test_pauses_between_tries_are_jittered_and_capped() -> None:
    longest = [full_jitter_s(failures, chance=lambda: 1.0) for failures in (1, 2, 3, 10, 10**6)]
    assert longest == [0.1, 0.2, 0.4, 1.0, 1.0]
    assert full_jitter_s(5, chance=lambda: 0.0) == 0.0


@pytest.mark.parametrize("url", ["http://a", "redis://a/b", "unix://", "redis://a:b/0", ""])
async def test_what_is_no_redis_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Link(url)

"""Redis may come back with an older copy of the lab, or with none: it is recognized first."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state import errors
from hwprovisioner.state.allocations import Deposed, GrantRefused
from hwprovisioner.state.care import Paused
from hwprovisioner.state.link import Link
from hwprovisioner.state.recognition import Recognition
from hwprovisioner.state.tables import Health, Presence
from hwprovisioner.state.transitions import Limits
from support.eventually import eventually
from support.lab_promises import check_promises
from support.redis_server import RedisServer, running
from support.state_lab import TOKEN, StateLab

LEAP = 2**32


@contextlib.asynccontextmanager
async def recognized(url: str) -> AsyncIterator[StateLab]:
    """Open a lab over a link that recognizes its copy first."""
    lab = StateLab(None)  # type: ignore[arg-type]  # only for its keys
    async with Link(url, greeting=Recognition(lab.keys, Limits())) as link:
        lab = StateLab(link)
        await link.wait_connected()
        yield lab


async def now_ms(lab: StateLab) -> int:
    seconds, microseconds = await lab.link.call("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


async def revision(lab: StateLab) -> int:
    return int(await lab.link.call("GET", lab.keys.revision))


async def reload(lab: StateLab) -> None:
    """Let the view begin with what Redis has."""
    lab.view.load(await revision(lab), [])


async def test_a_copy_that_was_served_last_is_left_as_it_is(redis_url: str) -> None:
    async with recognized(redis_url) as lab:
        await reload(lab)
        await lab.register()
        before = await lab.dump()
        async with recognized(redis_url) as again:
            assert await again.dump() == before
        lab.link.renew("so that it connects once more")
        await lab.link.wait_connected()
        assert await lab.dump() == before
        assert lab.view.managers["m"].presence is Presence.ONLINE


async def test_after_a_restart_managers_have_to_register_before_anything_is_granted() -> None:
    with running(durable=True) as server:
        async with recognized(server.url) as lab:
            await reload(lab)
            now = await now_ms(lab)
            who = await lab.register(now_ms=now)
            await lab.describe(who)
            lost = await lab.register("lost", now_ms=now)
            await lab.managers.disconnect("lost", lost.epoch, now_ms=now - 60_001)
            await lab.managers.lose("lost", now_ms=now)
            away = await lab.register("away", now_ms=now)
            await lab.managers.disconnect("away", away.epoch, now_ms=now)
            epoch = await lab.elect(now_ms=now)
            await lab.care.tend(now_ms=now)
            await lab.submit(now_ms=now)
            last = await revision(lab)
            planned = lab.planned("r")
            server.kill()
            await eventually(lambda: not lab.link.connected)
            server.start()
            await lab.link.wait_connected()

            assert await revision(lab) > now * 1000 > last
            dump = await lab.dump()
            records = check_promises(dump, {})
            presences = {i: (m.presence, m.epoch) for i, m in records.managers.items()}
            assert presences == {
                "m": (Presence.DISCONNECTED, 0),
                "lost": (Presence.LOST, lost.epoch),
                "away": (Presence.DISCONNECTED, away.epoch),
            }
            assert isinstance(await lab.care.tend(), Paused), "leases get their full length again"
            with pytest.raises(Deposed):
                await lab.allocations.grant("a", [planned], epoch=epoch)
            await lab.elect("another", now_ms=await now_ms(lab))
            assert lab.epoch > epoch
            with pytest.raises(GrantRefused, match="manager away"):
                await lab.allocations.grant("a", [planned], epoch=lab.epoch)
            with pytest.raises(errors.Forgotten):
                await lab.managers.heard(who)
            with pytest.raises(errors.Forgotten):
                await lab.upkeep.say_health(who, "r", Health.SUSPECT, "", 0)
            again = await lab.register(now_ms=await now_ms(lab))
            assert again.epoch > max(who.epoch, lost.epoch, away.epoch)
            with pytest.raises(GrantRefused, match="manager away"):
                await lab.allocations.grant("a", [planned], epoch=lab.epoch)
            await reload(lab)
            await lab.managers.describe(
                *(again, "r", "{}"), volunteered=True, slots=1, cpus=8, memory=2**34
            )
            assert await lab.allocations.grant("a", [planned], epoch=lab.epoch)


async def test_no_revision_comes_twice_after_all_was_deleted(redis_url: str) -> None:
    async with recognized(redis_url) as lab:
        await reload(lab)
        who = await lab.register()
        last = await revision(lab)
        await lab.link.call("FLUSHALL")
        with pytest.raises(errors.Forgotten):
            await lab.managers.heard(who)
        lab.link.renew("an older copy was seen")
        await lab.link.wait_connected()
        assert await revision(lab) > last
        await reload(lab)
        assert (await lab.register()).epoch > who.epoch


async def test_no_revision_comes_twice_when_a_leap_was_lost_too(redis_url: str) -> None:
    """Redis crashes twice within a second."""
    async with recognized(redis_url) as lab:
        copied = await revision(lab)
        seen = copied

        async def is_later() -> bool:
            return await now_ms(lab) * 1000 > seen

        for _ in range(3):
            await eventually(is_later)  # Redis takes longer than 1 ms to start
            await lab.link.call("SET", lab.keys.revision, copied)
            await lab.link.call("DEL", lab.keys.log, lab.keys.run)
            lab.link.renew("so that it connects once more")
            await lab.link.wait_connected()
            assert await revision(lab) > seen
            seen = await revision(lab)


async def test_it_goes_on_above_what_was_there_though_the_clock_was_set_back(
    redis_url: str,
) -> None:
    async with recognized(redis_url) as lab:
        far = 4 * 10**15
        await lab.link.call("SET", lab.keys.revision, far)
        await lab.link.call("DEL", lab.keys.run)
        lab.link.renew("so that it connects once more")
        await lab.link.wait_connected()
        assert await revision(lab) == far + LEAP + 1
        await reload(lab)
        await lab.register()
        [commit] = await lab.logged(far + LEAP + 1)
        assert commit.revision == far + LEAP + 2


async def test_a_replica_is_no_lab_before_it_is_promoted_and_then_another_copy() -> None:
    with running() as first, running("--replicaof", f"127.0.0.1 {first.port}") as second:
        async with recognized(first.url) as lab:
            await reload(lab)
            await lab.register()
            copied = await lab.link.call("GET", lab.keys.revision)
            await eventually(lambda: replicated(second, lab.keys.revision, copied))
            with pytest.raises(errors.StateUnavailable, match="READONLY"):
                async with Link(
                    second.url, patience_ms=500, greeting=Recognition(lab.keys, Limits())
                ) as early:
                    await early.call("PING")
            assert second.command("REPLICAOF NO ONE") == b"+OK\r\n"
            async with recognized(second.url) as promoted:
                assert await revision(promoted) > int(copied)
                # Nobody noticed that it was a replica once more, and is the master again.
                run = await promoted.link.call("GET", promoted.keys.run)
                second.command(f"REPLICAOF 127.0.0.1 {first.port}")
                second.command("REPLICAOF NO ONE")
            async with recognized(second.url) as again:
                assert await again.link.call("GET", again.keys.run) != run


async def test_a_first_replica_makes_no_other_copy_of_its_master() -> None:
    with running() as first:
        async with recognized(first.url) as lab:
            await reload(lab)
            await lab.register()
            before, was = await lab.dump(), first.command("INFO replication")
            with running("--replicaof", f"127.0.0.1 {first.port}") as second:
                copied = await lab.link.call("GET", lab.keys.revision)
                await eventually(lambda: replicated(second, lab.keys.revision, copied))
                assert _replid(first.command("INFO replication")) != _replid(was)
                async with recognized(first.url) as again:
                    assert await again.dump() == before


def _replid(info: bytes) -> bytes:
    [line] = [line for line in info.splitlines() if line.startswith(b"master_replid:")]
    return line


def replicated(server: RedisServer, key: str, value: str) -> bool:
    return server.command(f"GET {key}").endswith(f"\r\n{value}\r\n".encode())


async def test_a_user_that_may_not_ask_for_it_is_told_so(redis_server: RedisServer) -> None:
    redis_server.command("ACL SETUSER shy on >secret ~* +@all -info")
    url = redis_server.url.replace("//", "//shy:secret@")
    lab = StateLab(None)  # type: ignore[arg-type]  # only for its keys
    try:
        async with Link(url, patience_ms=500, greeting=Recognition(lab.keys, Limits())) as link:
            with pytest.raises(errors.StateUnavailable, match="info"):
                await link.call("PING")
    finally:
        redis_server.command("ACL DELUSER shy")


async def test_the_token_is_still_the_holders(redis_url: str) -> None:
    """Nothing else of the lab is touched: what is held stays held, with its lease."""
    async with recognized(redis_url) as lab:
        await reload(lab)
        now = await now_ms(lab)
        await lab.care.tend(now_ms=now)
        await lab.submit(now_ms=now)
        await lab.link.call("DEL", lab.keys.run)
        lab.link.renew("so that it connects once more")
        await lab.link.wait_connected()
        assert isinstance(await lab.beat("a", token=TOKEN, now_ms=now + 20_000), Alive)

"""What is heard of a Redis, and what of it gets lost with the connection."""

from hwprovisioner.state.link import Link
from hwprovisioner.state.pubsub import Ear
from hwprovisioner.state.resp import Connection, packed
from support.eventually import eventually
from support.redis_server import RedisServer

Heard = list[tuple[str, str]]


def listening(url: str, heard: Heard) -> Ear:
    ear = Ear(url, client_name="ear")
    ear.on("said", lambda channel, words: heard.append((channel, words)))
    ear.on_keys("alarm:*", lambda channel, words: heard.append((channel, words)), switch_on)
    return ear


async def switch_on(connection: Connection) -> None:
    await connection.send(packed("CONFIG", "SET", "notify-keyspace-events", "Kg"))


async def test_channels_and_what_happens_to_keys_are_heard_in_one_database(
    redis_server: RedisServer,
) -> None:
    heard: Heard = []
    url = f"redis://127.0.0.1:{redis_server.port}"
    ear = listening(f"{url}/3", heard)
    async with ear.link, Link(f"{url}/3") as there, Link(f"{url}/2") as elsewhere:
        await ear.link.wait_connected()
        await elsewhere.call("SET", "alarm:a", "")
        await elsewhere.call("DEL", "alarm:a")
        await there.call("SET", "alarm:b", "")
        await there.call("DEL", "alarm:b")
        await there.call("PUBLISH", "said", "last")
        await eventually(lambda: heard[-1:] == [("said", "last")])
    assert heard == [("__keyspace@3__:alarm:b", "del"), ("said", "last")]


async def test_it_is_heard_again_over_a_new_connection_and_the_gap_is_told(
    redis_server: RedisServer,
) -> None:
    heard: Heard = []
    told: list[bool] = []
    ear = listening(redis_server.url, heard)
    ear.link.listen(told.append)
    async with ear.link, Link(redis_server.url) as link:
        await ear.link.wait_connected()
        ear.link.renew("the test wants another one")
        await link.call("PUBLISH", "said", "into the gap")
        await ear.link.wait_connected()
        await link.call("PUBLISH", "said", "once more")
        await eventually(lambda: heard == [("said", "once more")])
    assert told[:4] == [False, True, False, True]


async def test_who_may_not_hear_of_keys_hears_the_rest(redis_server: RedisServer) -> None:
    heard: Heard = []
    rights = ">secret ~* resetchannels &said +@all"
    redis_server.command(f"ACL SETUSER listener on {rights}")
    ear = listening(f"redis://listener:secret@127.0.0.1:{redis_server.port}/0", heard)
    async with ear.link, Link(redis_server.url) as link:
        await ear.link.wait_connected()
        await link.call("PUBLISH", "said", "to whom it may concern")
        await eventually(lambda: heard == [("said", "to whom it may concern")])

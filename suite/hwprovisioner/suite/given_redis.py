"""A Redis that somebody else runs: taken as it is given, waited for, and never replaced."""

import asyncio
import contextlib
from collections.abc import Mapping

from hwprovisioner.serving import EnvReader, SettingsError, redis_url, without_password

from .child import Console
from .errors import BadInput

#: Names of the environment that name a Redis.
NAMES = ("HWP_REDIS_URL", "REDIS_URL", "REDIS_SENTINELS", "REDIS_HOST", "REDIS_PORT")
_ASK_LIMIT_S = 3.0
_RETRY_S = 0.5


def given_url(option: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the Redis that the user named, or None if none was.

    Args:
        option: of the command line; decides if it is given.
        environ: names one with any of `NAMES`.

    Raises:
        BadInput: it cannot be read.
    """
    if option is None and not any(environ.get(name, "").strip() for name in NAMES):
        return None
    if option is not None:
        environ = {**environ, "HWP_REDIS_URL": option}
    env = EnvReader(environ)
    url = redis_url(env)
    try:
        env.check()
    except SettingsError as error:
        said = "\n".join(error.faults)
        raise BadInput(
            said if option is None else said.replace("HWP_REDIS_URL", "--redis")
        ) from None
    return url


async def wait_for(url: str, console: Console, stopping: asyncio.Event) -> None:
    """Wait until the Redis at a URL answers, and say so, or until `stopping` is set."""
    said = ""
    while not stopping.is_set():
        if not (why := await _missing(url)):
            if said:
                console.say(f"Redis at {without_password(url)} answers")
            return
        if why != said:
            console.say(f"waiting for Redis at {without_password(url)}: {why}")
            said = why
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_S):
                await stopping.wait()


async def _missing(url: str) -> str:
    if "+sentinel://" in url:
        return ""  # the services ask the sentinels, and wait by themselves
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    try:
        async with asyncio.timeout(_ASK_LIMIT_S):
            async with Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as redis:
                await redis.ping()
    except (RedisError, OSError, ValueError) as error:
        return without_password(str(error)) or type(error).__name__
    return ""

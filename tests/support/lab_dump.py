"""Everything that Redis has of a lab."""

from collections.abc import Iterable
from typing import Any

from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link

_DUMP = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'string' then
    found[#found + 1] = {key, kind, redis.call('GET', key), redis.call('PTTL', key)}
  elseif kind == 'hash' then
    found[#found + 1] = {key, kind, redis.call('HGETALL', key)}
  elseif kind == 'set' then
    found[#found + 1] = {key, kind, redis.call('SMEMBERS', key)}
  elseif kind == 'zset' then
    found[#found + 1] = {key, kind, redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')}
  elseif kind == 'stream' then
    local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
    found[#found + 1] = {key, kind, last, redis.call('XLEN', key)}
  end
end
local time = redis.call('TIME')
return {time[1] * 1000 + math.floor(time[2] / 1000), found}
"""

Dump = dict[str, Any]
"""Every key of a lab by what follows its prefix; hashes and sorted sets as dicts, sets as sets."""


async def dump_of(link: Link, keys: Keys) -> Dump:
    """Return all of a lab; alarms by the time they go off.

    Of the log, the last entry and the length.
    """
    pattern = keys.prefix.replace("[", "\\[") + "*"
    now_ms, found = await link.call("EVAL", _DUMP, 0, pattern)
    prefix = len(keys.prefix)
    return {key[prefix:]: _content(key[prefix:], kind, rest, now_ms) for key, kind, *rest in found}


def _content(name: str, kind: str, rest: list[Any], now_ms: int) -> Any:
    if kind == "hash":
        return dict(pairs(rest[0]))
    if kind == "zset":
        return {member: int(score) for member, score in pairs(rest[0])}
    if kind == "set":
        return set(rest[0])
    if name.startswith("alarm:"):
        # Whole seconds: Redis tells what is left, rounded, of a time that the test has set.
        return round((now_ms + rest[1]) / 1000)
    return rest


def pairs(flat: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """Return what Redis tells in one list, names and values by turns."""
    items = iter(flat)
    return zip(items, items, strict=True)

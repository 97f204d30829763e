-- Recognizes the copy of the lab that Redis has, before anything else is done over a new connection. If it was not served last by
-- this run of Redis (it was restarted, another one has taken over, or all was deleted), what was acknowledged last may be lost,
-- and nobody can tell. So revisions and epochs go on far above all that can have been there; every manager has to register again,
-- and tell what it holds, before anything of its resources is granted; and all leases get their full length, as their last
-- heartbeats may be lost.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  string  the run of Redis that served the lab last
-- KEYS[5]  hash    the scheduler's election
-- KEYS[6]  string  when leases were last looked after
-- KEYS[7...]  hash  each manager
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  time for managers to come back, ms
-- ARGV[3...]  ids of the managers
--
-- Returns  {"CHANGED", revision, now, event, changes}
--          {"SAME"}  it was served by this run of Redis
--
--@include change
-- A lab that makes less than so many changes in each ms has not come as far as the clock, in whatever copy. Only where the clock
-- was set back, it leaps from what is known: no copy lacks as many changes as that.
local PER_MS, LEAP = 1000, 2 ^ 32

-- A run ends with its process, and where a replica becomes the master: that one goes on from what its second id names. The first
-- id is no sign of it, as a master takes a new one also when its first replica comes.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  .. ':' .. string.match(redis.call('INFO', 'replication'), 'master_replid2:(%x+)')
if redis.call('GET', KEYS[4]) == run then
  return {'SAME'}
end
local last = tonumber(redis.call('GET', REVISION) or '0')
redis.call('SET', REVISION, string.format('%.0f', now * PER_MS > last and now * PER_MS or last + LEAP))
redis.call('SET', KEYS[4], run)
redis.call('HSET', KEYS[5], 'replica', '', 'epoch', next_revision(), 'until_ms', 0)
redis.call('SET', KEYS[6], 0)
for i = 3, #ARGV do
  local presence = step('presence', redis.call('HGET', KEYS[4 + i], 'presence'), 'disconnect')
  if presence then
    put('manager', ARGV[i], KEYS[4 + i], {'presence', presence, 'epoch', 0, 'returning', 1})
    redis.call('ZADD', DEADLINES, now + tonumber(ARGV[2]), 'manager:' .. ARGV[i])
  end
end
return commit('CHANGED', 'recognize')

-- The holder gives an allocation back: RELEASED if it was ready, CANCELLED before. One that is kept goes on until that is over:
-- then its lease is, whether or not there are heartbeats.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what each user has used in each hour
-- KEYS[5]  hash    times from grant to end, by class
-- KEYS[6]  string  when somebody last looked, and the steady time then
-- KEYS[7]  hash    the allocation
-- KEYS[8]  string  its alarm
-- KEYS[9...]  for each of its holds: hash the hold, hash its resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  SHA-256 of the token
-- ARGV[4]  time to remember it, ms
-- ARGV[5]  "1" to end it now, even if it is kept
-- ARGV[6...]  ids of its holds
--
-- Returns  {"RELEASED", revision, now, event, changes}
--          {"KEPT", revision, now, event, changes}
--          {"ENDED", reason}  it had ended before
--          {"UNKNOWN"} | {"WRONG_TOKEN"} | {"STALE_HOLDS", ids}
--
--@include endings
local allocation = redis.call('HMGET', KEYS[7], 'state', 'token_sha', 'end_reason', 'keep_ms')
if not allocation[1] then
  return {'UNKNOWN'}
end
if allocation[2] ~= ARGV[3] then
  return {'WRONG_TOKEN'}
end
if not step('allocation', allocation[1], 'end') then
  return {'ENDED', allocation[3]}
end
local keep = tonumber(allocation[4] or '0')
if keep > now and ARGV[5] ~= '1' then
  put('allocation', ARGV[2], KEYS[7], {'released_ms', now})
  redis.call('ZADD', DEADLINES, keep, 'lease:' .. ARGV[2])
  redis.call('SET', KEYS[8], '', 'PXAT', keep)
  return commit('KEPT', 'release')
end
local stale = stale_holds(KEYS[7], {unpack(ARGV, 6)})
if stale then
  return stale
end
local reason = allocation[1] == 'READY' and 'RELEASED' or 'CANCELLED'
end_allocation(ARGV[2], KEYS[7], KEYS[8], 9, reason, 'by its holder', tonumber(ARGV[4]))
return commit('RELEASED', 'release')

-- Ends an allocation whose lease is over; one that was released and is kept no longer is RELEASED. The deadline is read again
-- here, so a heartbeat that was accepted always wins; and nothing expires while leases are paused, since heartbeats may not have
-- been taken then: see care.lua and restore.lua.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what each user has used in each hour
-- KEYS[5]  hash    times from grant to end, by class
-- KEYS[6]  string  when somebody last looked, and the steady time then
-- KEYS[7]  hash    the allocation
-- KEYS[8]  string  its alarm
-- KEYS[9]  string  when leases were last looked after
-- KEYS[10] hash    heartbeat replicas
-- KEYS[11...]  for each of its holds: hash the hold, hash its resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  time to remember it, ms
-- ARGV[4...]  ids of its holds
--
-- Returns  {"EXPIRED", revision, now, event, changes}
--          {"BEFORE"}  it had ended before
--          {"EARLY"}  the lease is not over
--          {"PAUSED"}  leases were not looked after, or a heartbeat replica is silent
--          {"UNKNOWN"} | {"STALE_HOLDS", ids}
--
--@include endings
--@include care
--@include keeping
local allocation = redis.call('HMGET', KEYS[7], 'state', 'released_ms')
if not allocation[1] then
  return {'UNKNOWN'}
end
if not step('allocation', allocation[1], 'end') then
  return {'BEFORE'}
end
local due = redis.call('ZSCORE', DEADLINES, 'lease:' .. ARGV[2])
if not due or tonumber(due) > now then
  return {'EARLY'}
end
if is_paused(KEYS[9], KEYS[10]) then
  return {'PAUSED'}
end
local stale = stale_holds(KEYS[7], {unpack(ARGV, 4)})
if stale then
  return stale
end
local reason, detail = why_over(allocation[2])
end_allocation(ARGV[2], KEYS[7], KEYS[8], 11, reason, detail, tonumber(ARGV[3]))
return commit('EXPIRED', 'expire')

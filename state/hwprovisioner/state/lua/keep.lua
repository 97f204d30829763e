-- Keeps an allocation that is ready as it is: its lease lasts until a time at least, and a release before does not end it. What
-- else ends it still does, so it is kept until its maximum duration at the longest.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the allocation
-- KEYS[5]  string  its alarm
-- KEYS[6]  string  when leases were last looked after
-- KEYS[7]  hash    heartbeat replicas
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  SHA-256 of the token
-- ARGV[4]  for how long, ms; 0 keeps it no longer
--
-- Returns  {"KEPT", revision, now, event, changes}
--          {"UNKNOWN"} | {"WRONG_TOKEN"}
--          {"WRONG_STATE", state}  it has no hosts, or its lease is over
--
--@include change
--@include care
--@include keeping
local allocation = redis.call('HMGET', KEYS[4], 'state', 'token_sha', 'ttl_ms', 'released_ms')
if not allocation[1] then
  return {'UNKNOWN'}
end
if allocation[2] ~= ARGV[3] then
  return {'WRONG_TOKEN'}
end
local state = step('allocation', allocation[1], 'keep')
local due = redis.call('ZSCORE', DEADLINES, 'lease:' .. ARGV[2])
if not state or (tonumber(due) <= now and not is_paused(KEYS[6], KEYS[7])) then
  return {'WRONG_STATE', state and 'ENDED' or allocation[1]}
end
local longest = redis.call('ZSCORE', DEADLINES, 'max:' .. ARGV[2])
local keep = math.min(now + tonumber(ARGV[4]), tonumber(longest) or math.huge)
local ends = kept_until(now + tonumber(allocation[3]), keep, allocation[4])
put('allocation', ARGV[2], KEYS[4], {'state', state, 'keep_ms', (keep > now or keep == ends) and keep or 0})
redis.call('ZADD', DEADLINES, ends, 'lease:' .. ARGV[2])
redis.call('SET', KEYS[5], '', 'PXAT', ends)
return commit('KEPT', 'keep')

-- A host is ready, which takes its offer up if that was not said before; with the last one, so is the allocation.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the manager
-- KEYS[5]  hash    the hold
-- KEYS[6]  hash    its allocation
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the manager's registration
-- ARGV[3]  id of the hold
-- ARGV[4]  its fence
-- ARGV[5]  id of the allocation
-- ARGV[6]  the connection, as JSON
--
-- Returns  {"READY", revision, now, event, changes}
--          {"SAME"}  it had been ready before
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_HOLD"} | {"STALE_FENCE", fence} | {"WRONG_STATE", state}
--
--@include change
--@include guard
local refused = refusal(KEYS[4], ARGV[2], KEYS[5], ARGV[4])
if refused then
  return refused
end
local before = redis.call('HGET', KEYS[5], 'state')
local state = step('hold', before, 'ready')
if not state then
  return {'WRONG_STATE', before}
end
if state == before then
  return {'SAME'}
end
put('hold', ARGV[3], KEYS[5], {'state', state, 'progress', ''})
-- Not through put: credentials stay out of the change log.
redis.call('HSET', KEYS[5], 'connection', ARGV[6])
redis.call('ZREM', DEADLINES, 'offer:' .. ARGV[3])
local allocation = redis.call('HMGET', KEYS[6], 'state', 'pending')
local pending = tonumber(allocation[2]) - 1
local fields = {'pending', pending}
if pending == 0 then
  local allocation_state = step('allocation', allocation[1], 'hosts_ready')
  fields = {'pending', 0, 'state', allocation_state, 'ready_ms', now, 'left_ms', lease_left(ARGV[5])}
end
put('allocation', ARGV[5], KEYS[6], fields)
return commit('READY', 'ready')

-- The time that an allocation is booked for has come: it is queued. Its first lease is as long as its holder has to show up.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the allocation
-- KEYS[5]  string  its alarm
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  time to show up, ms; a longer lease stays as long as it is
--
-- Returns  {"BEGUN", revision, now, event, changes}
--          {"NOT_BOOKED", state}  it has begun or ended before, or never was booked; state may be false
--          {"EARLY"}  not due
--
--@include change
local allocation = redis.call('HMGET', KEYS[4], 'state', 'ttl_ms', 'book_until_ms')
local state = step('allocation', allocation[1], 'begin')
if not state then
  return {'NOT_BOOKED', allocation[1]}
end
local due = redis.call('ZSCORE', DEADLINES, 'begin:' .. ARGV[2])
if not due or tonumber(due) > now then
  return {'EARLY'}
end
local lease = math.max(tonumber(allocation[2]), tonumber(ARGV[3]))
put('allocation', ARGV[2], KEYS[4], {'state', state, 'turn', next_revision(), 'left_ms', lease})
redis.call('ZREM', DEADLINES, 'begin:' .. ARGV[2])
redis.call('ZADD', DEADLINES, now + lease, 'lease:' .. ARGV[2], allocation[3], 'max:' .. ARGV[2])
redis.call('SET', KEYS[5], '', 'PXAT', now + lease)
return commit('BEGUN', 'begin')

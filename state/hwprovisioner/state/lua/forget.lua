-- Deletes an ended allocation that has been remembered for long enough.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the allocation
-- KEYS[5]  set     index of allocations
-- KEYS[6]  string  the request id's memory
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
--
-- Returns  {"FORGOTTEN", revision, now, event, changes}
--          {"EARLY"}  not due
--
--@include change
local due = redis.call('ZSCORE', DEADLINES, 'forget:' .. ARGV[2])
if not due or tonumber(due) > now then
  return {'EARLY'}
end
drop('allocation', ARGV[2], KEYS[4], KEYS[5])
redis.call('DEL', KEYS[6])
redis.call('ZREM', DEADLINES, 'forget:' .. ARGV[2])
return commit('FORGOTTEN', 'forget')

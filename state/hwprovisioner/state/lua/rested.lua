-- A declined resource may be offered again.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  name of the resource
--
-- Returns  {"RESTED", revision, now, event, changes}
--          {"EARLY"}  not due
--
--@include change
local member = 'rest:' .. ARGV[2]
local due = redis.call('ZSCORE', DEADLINES, member)
if not due or tonumber(due) > now then
  return {'EARLY'}
end
redis.call('ZREM', DEADLINES, member)
if redis.call('EXISTS', KEYS[4]) == 0 then
  return {'EARLY'}
end
put('resource', ARGV[2], KEYS[4], {'rest_until', 0, 'rest_reason', ''})
return commit('RESTED', 'rested')

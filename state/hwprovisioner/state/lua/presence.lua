-- A manager's stream is gone (disconnect), or it has been away for too long (lose). Then what ran on its resources has to be
-- ended, and the manager stays due until settle.lua says that this was done.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the manager
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  epoch of the registration whose stream is gone; "" if it has not been heard for too long
-- ARGV[4]  event: disconnect or lose
-- ARGV[5]  time until the next event is due, ms
--
-- Returns  {"MOVED", revision, now, event, changes}
--          {"EARLY"}  not due
--          {"SUPERSEDED"} | {"WRONG_STATE", presence}
--
--@include change
local member = 'manager:' .. ARGV[2]
local manager = redis.call('HMGET', KEYS[4], 'presence', 'epoch')
if ARGV[3] == '' then
  local due = redis.call('ZSCORE', DEADLINES, member)
  if not due or tonumber(due) > now then
    return {'EARLY'}
  end
elseif manager[2] ~= ARGV[3] then
  return {'SUPERSEDED'}
end
local presence = step('presence', manager[1], ARGV[4])
if not presence then
  return {'WRONG_STATE', manager[1]}
end
put('manager', ARGV[2], KEYS[4], {'presence', presence})
redis.call('ZADD', DEADLINES, now + tonumber(ARGV[5]), member)
return commit('MOVED', ARGV[4])

-- A manager that had to register anew has told what it holds, and all of it is settled.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the manager
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  epoch of its registration
--
-- Returns  {"RETURNED", revision, now, event, changes}
--          {"SAME"}  it had not to, or has done so
--          {"SUPERSEDED"} | {"FORGOTTEN"}
--
--@include change
--@include epoch
local old = outdated(KEYS[4], ARGV[3])
if old then
  return old
end
if redis.call('HGET', KEYS[4], 'returning') ~= '1' then
  return {'SAME'}
end
put('manager', ARGV[2], KEYS[4], {'returning', 0})
return commit('RETURNED', 'return')

-- A manager was heard: it is not taken for away for another silence limit.
--
-- KEYS[1]  zset    deadlines
-- KEYS[2]  hash    the manager
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  epoch of its registration
-- ARGV[4]  silence limit, ms
--
-- Returns  {"HEARD"}
--          {"SUPERSEDED"} | {"FORGOTTEN"}
--          {"WRONG_STATE", presence}  it had been given up: it must register anew
--
--@include now
--@include epoch
local old = outdated(KEYS[2], ARGV[3])
if old then
  return old
end
local presence = redis.call('HGET', KEYS[2], 'presence')
if presence ~= 'ONLINE' then
  return {'WRONG_STATE', presence}
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[4]), 'manager:' .. ARGV[2])
return {'HEARD'}

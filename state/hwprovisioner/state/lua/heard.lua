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
--          {"SUPERSEDED"}
--          {"WRONG_STATE", presence}  it had been given up: it must register anew
--
--@include now
local manager = redis.call('HMGET', KEYS[2], 'epoch', 'presence')
if manager[1] ~= ARGV[3] then
  return {'SUPERSEDED'}
end
if manager[2] ~= 'ONLINE' then
  return {'WRONG_STATE', manager[2]}
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[4]), 'manager:' .. ARGV[2])
return {'HEARD'}

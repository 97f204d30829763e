-- Everything that ran on the resources of a lost manager has been ended.
--
-- KEYS[1]  zset    deadlines
-- KEYS[2]  hash    the manager
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
--
-- Returns  {"SETTLED"}
--          {"WRONG_STATE", presence}  it is back, or never was; presence may be false
--
local presence = redis.call('HGET', KEYS[2], 'presence')
if presence and presence ~= 'LOST' then
  return {'WRONG_STATE', presence}
end
redis.call('ZREM', KEYS[1], 'manager:' .. ARGV[2])
return {'SETTLED'}

-- Takes the manager's end of a channel, for one replica and once. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    the channel
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  where replicas tell one another (Pub/Sub)
-- ARGV[3]  what the holder's replica is told
--
-- Returns  {"CLAIMED", id of the allocation}
--          {"TAKEN"} | {"GONE"}
--
--@include now
local allocation = redis.call('HGET', KEYS[1], 'allocation')
if not allocation then
  return {'GONE'}
end
if redis.call('HSETNX', KEYS[1], 'manager', now) == 0 then
  return {'TAKEN'}
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return {'CLAIMED', allocation}

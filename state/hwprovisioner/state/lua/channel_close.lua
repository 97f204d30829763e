-- Ends a channel, with whatever was not read. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    the channel
-- KEYS[2]  stream  the pieces for the holder
-- KEYS[3]  stream  the pieces for the manager
-- KEYS[4]  zset    the allocation's channels
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the channel
-- ARGV[3]  where replicas tell one another (Pub/Sub)
-- ARGV[4]  what the other end's replica is told
--
-- Returns  {"CLOSED"}
--
redis.call('ZREM', KEYS[4], ARGV[2])
if redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) > 0 then
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return {'CLOSED'}

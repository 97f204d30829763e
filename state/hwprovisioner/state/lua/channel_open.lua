-- Makes a channel between a holder and a host, if the allocation has not too many. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    the channel: when the replica of either end said last that it is there
-- KEYS[2]  zset    the allocation's channels, by when they are given up unless that is said again
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the channel
-- ARGV[3]  id of the allocation
-- ARGV[4]  how many channels an allocation may have
-- ARGV[5]  how long a channel lasts unless an end is said to be there, ms
--
-- Returns  {"OPENED"}
--          {"FULL"}
--
--@include now
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then
  return {'FULL'}
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('HSET', KEYS[1], 'holder', now, 'allocation', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'OPENED'}

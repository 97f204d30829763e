-- Says that one end of a channel is there, and asks for the other. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    the channel
-- KEYS[2]  zset    the allocation's channels, by when they are given up unless that is said again
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the channel
-- ARGV[3]  the end that is there: holder or manager
-- ARGV[4]  how long a channel lasts unless an end is said to be there, ms
--
-- Returns  {"TOUCHED", ms since the other end was said to be there; -1 if it never was}
--          {"GONE"}
--
--@include now
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'GONE'}
end
redis.call('HSET', KEYS[1], ARGV[3], now)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local other = redis.call('HGET', KEYS[1], ARGV[3] == 'holder' and 'manager' or 'holder')
return {'TOUCHED', other and now - tonumber(other) or -1}

-- Says that leases are being looked after, and what is due; or that they are paused and have to be restored first.
--
-- KEYS[1]  string  when leases were last looked after
-- KEYS[2]  zset    deadlines
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  at most so many due members
--
-- Returns  {"TENDED", now, next deadline in ms or -1, members that are due...}
--          {"PAUSED", when leases were last looked after}
--
--@include care
local tended = redis.call('GET', KEYS[1])
if tended and is_paused(KEYS[1]) then
  return {'PAUSED', tended}
end
redis.call('SET', KEYS[1], now)
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[2])
local first = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {'TENDED', now, first[2] and tonumber(first[2]) or -1, unpack(due)}

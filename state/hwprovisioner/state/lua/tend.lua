-- Says that leases are being looked after, and what is due; or that they are paused. While a heartbeat replica is silent they
-- stay so, as its holders cannot beat; one that has been for too long is given up. Afterwards they have to be restored.
--
-- KEYS[1]  string  when leases were last looked after
-- KEYS[2]  zset    deadlines
-- KEYS[3]  hash    heartbeat replicas
-- KEYS[4]  string  when they were last looked at, and the steady time then
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  at most so many members that are due
-- ARGV[3]  at most so many that will be
--
-- Returns  {"TENDED", now, members that are due, those that will be next, each with its deadline,
--          steady time}
--          {"PAUSED", when leases were last looked after, now}
--          {"SILENT", id of a heartbeat replica, for how long in ms, its limit in ms}
--          {"GIVEN_UP", id of a heartbeat replica, for how long it was silent in ms}
--
--@include silence
look_at(KEYS[3], KEYS[4])
local silent, silence, limit = silent_beater(KEYS[3])
if silent and silence > limit then
  redis.call('HDEL', KEYS[3], silent)
  pause(KEYS[1])
  return {'GIVEN_UP', silent, silence}
end
if silent then
  return {'SILENT', silent, silence, limit}
end
local tended = redis.call('GET', KEYS[1])
if tended and not is_tended(KEYS[1]) then
  return {'PAUSED', tended, now}
end
redis.call('SET', KEYS[1], now)
-- In its very ms nothing is due yet: Redis expires keys in the one after, and whose alarm is touched too early is heard late.
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. now, 'LIMIT', 0, ARGV[2])
local coming = redis.call('ZRANGEBYSCORE', KEYS[2], now, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
return {'TENDED', now, due, coming, steady_time(KEYS[4])}

-- Gives leases their full length again after a time in which nobody looked after them, because heartbeats may not have been
-- taken then. Managers are given time to come back likewise. Called for all, in chunks; the last one ends the pause.
--
-- KEYS[1]  zset    deadlines
-- KEYS[2]  string  when leases were last looked after
-- KEYS[3...]  for each allocation: its hash, its alarm
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  "finish" with the last chunk, else ""
-- ARGV[3]  time for managers to come back, ms
-- ARGV[4]  when leases were last looked after, as tend said: if that has changed, somebody else has restored them
-- ARGV[5]  how many of the following are allocations
-- ARGV[6...]  ids of allocations, as in KEYS, then ids of managers
--
-- Returns  {"RESTORED", how many}
--          {"DONE"}  somebody else has
--
--@include now
if redis.call('GET', KEYS[2]) ~= ARGV[4] then
  return {'DONE'}
end
local restored = 0
local allocations = tonumber(ARGV[5])
for i = 1, allocations do
  local id, key, alarm = ARGV[5 + i], KEYS[1 + i * 2], KEYS[2 + i * 2]
  local allocation = redis.call('HMGET', key, 'state', 'ttl_ms')
  if allocation[1] and allocation[1] ~= 'ENDED' then
    local deadline = now + tonumber(allocation[2])
    redis.call('ZADD', KEYS[1], 'XX', deadline, 'lease:' .. id)
    redis.call('SET', alarm, '', 'PXAT', deadline)
    restored = restored + 1
  end
end
for i = 6 + allocations, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', 'GT', now + tonumber(ARGV[3]), 'manager:' .. ARGV[i])
end
if ARGV[2] == 'finish' then
  redis.call('SET', KEYS[2], now)
end
return {'RESTORED', restored}

-- Gives leases their full length again after a time in which nobody looked after them, because heartbeats may not have been
-- taken then. Managers are given time to come back likewise, and so is what waits for them: offers, and what is queued or has
-- a maximum duration; holders that may not have heard that they give way to another, or that what they have is taken out of
-- service; and whoever has not heard yet how it ended. What is kept lasts as long as was said at least. What is booked has no
-- lease yet, and begins when its time comes, or at once if it has come. Called for all, in chunks; the last one ends the pause.
-- All of it can be done twice.
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
--@include lists
--@include keeping
if redis.call('GET', KEYS[2]) ~= ARGV[4] then
  return {'DONE'}
end
local restored = 0
local back = now + tonumber(ARGV[3])

-- Puts a deadline off, if there is one and it is before managers are back.
local function put_off(member)
  redis.call('ZADD', KEYS[1], 'XX', 'GT', back, member)
end

local allocations = tonumber(ARGV[5])
for i = 1, allocations do
  local id, key, alarm = ARGV[5 + i], KEYS[1 + i * 2], KEYS[2 + i * 2]
  local allocation = redis.call('HMGET', key, 'state', 'ttl_ms', 'holds', 'keep_ms', 'released_ms')
  if allocation[1] and allocation[1] ~= 'ENDED' and allocation[1] ~= 'BOOKED' then
    local deadline = kept_until(now + tonumber(allocation[2]), allocation[4], allocation[5])
    redis.call('ZADD', KEYS[1], 'XX', deadline, 'lease:' .. id)
    redis.call('SET', alarm, '', 'PXAT', deadline)
    put_off('wait:' .. id)
    put_off('max:' .. id)
    put_off('preempt:' .. id)
    put_off('revoke:' .. id)
    for _, hold in ipairs(split(allocation[3])) do
      put_off('offer:' .. hold)
    end
    restored = restored + 1
  elseif allocation[1] == 'ENDED' then
    put_off('forget:' .. id)
  end
end
for i = 6 + allocations, #ARGV do
  put_off('manager:' .. ARGV[i])
end
if ARGV[2] == 'finish' then
  redis.call('SET', KEYS[2], now)
end
return {'RESTORED', restored}

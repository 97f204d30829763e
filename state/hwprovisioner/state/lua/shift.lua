-- The clock was set: what is due after some time is put off, or brought forward, by as much; so is what records say of it, which
-- is until when an allocation is kept, and when it gives way to another. What is due at a moment that people chose (bookings,
-- drains with a deadline) stays; leases get their full length afterwards anyway. What was set since by a clock that had been set
-- back goes by it already, and stays as well: it is due before the leases were last looked after, as nothing else is for long.
-- Durations go by steady time (steady.lua) and need nothing. Done once for each step: it leaves a mark.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  string  when leases were last looked after
-- KEYS[5...]  hash  each allocation that is kept, or gives way to another
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  when leases were last looked after, as tend said
-- ARGV[3]  by how much the clock was set, ms
-- ARGV[4...]  ids of the allocations, as in KEYS; then members that stay
--
-- Returns  {"SHIFTED", revision, now, event, changes, how many deadlines}
--          {"DONE"}  somebody else has
--
--@include change
--@include lists
if redis.call('GET', KEYS[4]) ~= ARGV[2] then
  return {'DONE'}
end
local OVERDUE = 5000
local step_ms = tonumber(ARGV[3])
local oldest = tonumber(string.match(ARGV[2], '^%d+')) - OVERDUE
local function goes_by_new_clock(ms)
  return step_ms < 0 and tonumber(ms) < oldest
end

local stays = {}
for i = #KEYS, #ARGV do
  stays[ARGV[i]] = true
end
local shifted = 0
local due = redis.call('ZRANGE', DEADLINES, 0, -1, 'WITHSCORES')
for i = 1, #due, 2 do
  local member = due[i]
  local kind = string.match(member, '^%a+')
  if kind ~= 'begin' and kind ~= 'revoke' and not goes_by_new_clock(due[i + 1]) and not stays[member] then
    redis.call('ZINCRBY', DEADLINES, step_ms, member)
    shifted = shifted + 1
  end
end

for i = 5, #KEYS do
  local allocation = redis.call('HMGET', KEYS[i], 'preempt_ms', 'keep_ms')
  local fields = {}
  for n, name in ipairs({'preempt_ms', 'keep_ms'}) do
    local ms = tonumber(allocation[n] or '0')
    if ms > 0 and not goes_by_new_clock(ms) then
      extend(fields, {name, ms + step_ms})
    end
  end
  if #fields > 0 then
    put('allocation', ARGV[i - 1], KEYS[i], fields)
  end
end
redis.call('SET', KEYS[4], string.format('0!%.0f', now))
local reply = commit('SHIFTED', 'shift')
reply[6] = shifted
return reply

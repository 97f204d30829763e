-- The clock was set: what is due after some time is put off, or brought forward, by as much. What is due at a moment that people
-- chose (bookings, drains with a deadline) stays; leases get their full length afterwards anyway. What was set since by a clock
-- that had been set back goes by it already, and stays as well: it is due before the leases were last looked after, as nothing
-- else is for long. Done once for each step: it leaves a mark.
--
-- KEYS[1]  zset    deadlines
-- KEYS[2]  string  when leases were last looked after
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  when leases were last looked after, as tend said
-- ARGV[3]  by how much the clock was set, ms
-- ARGV[4...]  members that stay
--
-- Returns  {"SHIFTED", how many}
--          {"DONE"}  somebody else has
--
--@include now
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return {'DONE'}
end
local stays = {}
for i = 4, #ARGV do
  stays[ARGV[i]] = true
end
local OVERDUE = 5000
local oldest = tonumber(string.match(ARGV[2], '^%d+')) - OVERDUE
local was_set_back = tonumber(ARGV[3]) < 0
local shifted = 0
local due = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #due, 2 do
  local member = due[i]
  local kind = string.match(member, '^%a+')
  local is_newer = was_set_back and tonumber(due[i + 1]) < oldest
  if kind ~= 'begin' and kind ~= 'revoke' and not is_newer and not stays[member] then
    redis.call('ZINCRBY', KEYS[1], ARGV[3], member)
    shifted = shifted + 1
  end
end
redis.call('SET', KEYS[2], string.format('0!%.0f', now))
return {'SHIFTED', shifted}

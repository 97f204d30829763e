-- An operator takes a resource out of service: what holds it may stay, for ever or until a deadline, and nothing new is granted.
-- When nothing holds it any longer it is in maintenance. What was said last counts.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the resource
-- KEYS[5...]  hash  for each allocation that holds it: the allocation
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  name of the resource
-- ARGV[3]  why, for people to read
-- ARGV[4]  who says so
-- ARGV[5]  when what holds it is ended, ms since the epoch; "" for never, "0" for at once
-- ARGV[6]  fence of the resource when the allocations were looked up
-- ARGV[7...]  ids of the allocations
--
-- Returns  {"DRAINED", revision, now, event, changes}
--          {"NO_SUCH_RESOURCE"} | {"WRONG_STATE", state}
--          {"STALE_FENCE", fence}  other allocations may hold it by now
--
--@include drains
local resource = redis.call('HMGET', KEYS[4], 'admin', 'holds', 'fence')
if not resource[1] then
  return {'NO_SUCH_RESOURCE'}
end
local state = step('admin', resource[1], 'drain')
if not state then
  return {'WRONG_STATE', resource[1]}
end
if resource[3] ~= ARGV[6] then
  return {'STALE_FENCE', resource[3]}
end
-- That nothing holds it any longer is found out, not told.
if resource[2] == '' then
  state = step('admin', state, 'drained') or state
end
local deadline = ARGV[5] == '0' and now or tonumber(ARGV[5])
local new = deadline and string.format('%s:%.0f', ARGV[2], deadline) or ARGV[2]
for i = 5, #KEYS do
  mark(ARGV[i + 2], KEYS[i], ARGV[2], new)
end
put('resource', ARGV[2], KEYS[4], {
  'admin', state, 'admin_reason', ARGV[3], 'operator', ARGV[4], 'operated_ms', now,
  'deadline_ms', state == 'DRAINING' and deadline or 0,
})
return commit('DRAINED', 'drain')

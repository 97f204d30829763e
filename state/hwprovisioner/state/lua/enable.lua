-- An operator puts a resource back into service. If it is not healthy, its manager looks after it first: it is suspected until
-- the manager says that it is well.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the resource
-- KEYS[5...]  hash  for each allocation that holds it: the allocation
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  name of the resource
-- ARGV[3]  who says so
-- ARGV[4]  why it is looked after, should it be, for people to read
-- ARGV[5]  fence of the resource when the allocations were looked up
-- ARGV[6...]  ids of the allocations
--
-- Returns  {"ENABLED", revision, now, event, changes}
--          {"NO_SUCH_RESOURCE"} | {"WRONG_STATE", state}
--          {"STALE_FENCE", fence}  other allocations may hold it by now
--
--@include drains
local resource = redis.call('HMGET', KEYS[4], 'admin', 'health', 'looks', 'fence')
if not resource[1] then
  return {'NO_SUCH_RESOURCE'}
end
local admin, health = step('admin', resource[1], 'enable'), step('health', resource[2], 'lift')
if not admin or not health then
  return {'WRONG_STATE', admin and resource[2] or resource[1]}
end
if resource[4] ~= ARGV[5] then
  return {'STALE_FENCE', resource[4]}
end
for i = 5, #KEYS do
  mark(ARGV[i + 1], KEYS[i], ARGV[2], '')
end
local fields = {
  'admin', admin, 'admin_reason', '', 'deadline_ms', 0, 'operator', ARGV[3], 'operated_ms', now, 'health', health,
}
if health ~= 'HEALTHY' then
  extend(fields, {'health_reason', ARGV[4], 'looks', resource[3] + 1})
end
put('resource', ARGV[2], KEYS[4], fields)
return commit('ENABLED', 'enable')

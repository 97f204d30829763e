-- Moves a resource along one of its axes of health and admin state. Allocations that hold a resource are marked while it is
-- drained, so that their heartbeats can say so.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the resource
-- KEYS[5...]  hash  for each allocation that holds it: the allocation
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  name of the resource
-- ARGV[3]  axis: health or admin
-- ARGV[4]  event
-- ARGV[5]  why and by whom, for people to read
-- ARGV[6]  fence of the resource when the allocations were looked up
-- ARGV[7...]  ids of the allocations
--
-- Returns  {"TURNED", revision, now, event, changes}
--          {"NO_SUCH_RESOURCE"} | {"WRONG_STATE", state}
--          {"STALE_FENCE", fence}  other allocations may hold it by now
--
--@include change
--@include lists
local resource = redis.call('HMGET', KEYS[4], ARGV[3], 'holds', 'fence')
if not resource[1] then
  return {'NO_SUCH_RESOURCE'}
end
-- That nothing holds it any longer is found out, not told.
local state = ARGV[4] ~= 'drained' and step(ARGV[3], resource[1], ARGV[4])
if not state then
  return {'WRONG_STATE', resource[1]}
end
if ARGV[4] == 'drain' and resource[2] == '' then
  state = step('admin', state, 'drained') or state
end
if resource[3] ~= ARGV[6] then
  return {'STALE_FENCE', resource[3]}
end
if ARGV[3] == 'admin' then
  for i = 5, #KEYS do
    local others = without(redis.call('HGET', KEYS[i], 'draining'), {ARGV[2]})
    local draining = ARGV[4] == 'drain' and with(others, ARGV[2]) or others
    put('allocation', ARGV[i + 2], KEYS[i], {'draining', draining})
  end
end
put('resource', ARGV[2], KEYS[4], {ARGV[3], state, 'axis_reason', ARGV[5]})
return commit('TURNED', ARGV[4])

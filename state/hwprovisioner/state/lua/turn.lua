-- Moves a resource along one of its axes of health and admin state.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  name of the resource
-- ARGV[3]  axis: health or admin
-- ARGV[4]  event
-- ARGV[5]  why and by whom, for people to read
--
-- Returns  {"TURNED", revision, now, event, changes}
--          {"NO_SUCH_RESOURCE"} | {"WRONG_STATE", state}
--
--@include change
local resource = redis.call('HMGET', KEYS[4], ARGV[3], 'holds')
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
put('resource', ARGV[2], KEYS[4], {ARGV[3], state, 'axis_reason', ARGV[5]})
return commit('TURNED', ARGV[4])

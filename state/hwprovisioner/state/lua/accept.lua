-- A manager takes up an offer.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the manager
-- KEYS[5]  hash    the hold
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the manager's registration
-- ARGV[3]  id of the hold
-- ARGV[4]  its fence
--
-- Returns  {"ACCEPTED", revision, now, event, changes}
--          {"SAME"}  it had been accepted before
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_HOLD"} | {"STALE_FENCE", fence} | {"WRONG_STATE", state}
--
--@include change
--@include guard
local refused = refusal(KEYS[4], ARGV[2], KEYS[5], ARGV[4])
if refused then
  return refused
end
local before = redis.call('HGET', KEYS[5], 'state')
local state = step('hold', before, 'accept')
if not state then
  return {'WRONG_STATE', before}
end
if state == before then
  return {'SAME'}
end
put('hold', ARGV[3], KEYS[5], {'state', state})
redis.call('ZREM', DEADLINES, 'offer:' .. ARGV[3])
return commit('ACCEPTED', 'accept')

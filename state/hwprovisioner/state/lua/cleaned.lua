-- A manager has cleaned up after a hold: only this frees what the hold had.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what is kept of removed resources
-- KEYS[5]  set     index of holds
-- KEYS[6]  set     index of resources
-- KEYS[7]  hash    the manager
-- KEYS[8]  hash    the hold
-- KEYS[9]  hash    its resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the manager's registration
-- ARGV[3]  fence of the hold
--
-- Returns  {"CLEANED", revision, now, event, changes}
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_HOLD"} | {"STALE_FENCE", fence} | {"WRONG_STATE", state}
--
--@include holds
--@include guard
local refused = refusal(KEYS[7], ARGV[2], KEYS[8], ARGV[3])
if refused then
  return refused
end
local before = redis.call('HGET', KEYS[8], 'state')
if not step('hold', before, 'cleaned') then
  return {'WRONG_STATE', before}
end
free_hold(KEYS[8], KEYS[5], KEYS[9], KEYS[6], KEYS[4])
return commit('CLEANED', 'cleaned')

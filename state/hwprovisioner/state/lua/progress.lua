-- A manager says how readying up or cleaning goes.
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
-- ARGV[5]  one line
--
-- Returns  {"NOTED", revision, now, event, changes}
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_HOLD"} | {"STALE_FENCE", fence}
--
--@include change
--@include guard
local refused = refusal(KEYS[4], ARGV[2], KEYS[5], ARGV[4])
if refused then
  return refused
end
put('hold', ARGV[3], KEYS[5], {'progress', ARGV[5]})
return commit('NOTED', 'progress')

-- A manager turns an offer down: nothing was begun, so the resource is free, but it rests for a while. The allocation goes
-- back to its place in the queue, its other hosts are cleaned.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what each user has used in each hour
-- KEYS[5]  hash    times from grant to end, by class
-- KEYS[6]  string  when somebody last looked, and the steady time then
-- KEYS[7]  hash    what is kept of removed resources
-- KEYS[8]  set     index of holds
-- KEYS[9]  set     index of resources
-- KEYS[10] hash    the manager
-- KEYS[11] hash    the hold
-- KEYS[12] hash    its allocation
-- KEYS[13] hash    its resource
-- KEYS[14...]  for each hold of the allocation, this one too: hash the hold, hash its resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the manager's registration
-- ARGV[3]  fence of the hold
-- ARGV[4]  id of the allocation
-- ARGV[5]  name of the resource
-- ARGV[6]  why, for people to read
-- ARGV[7]  rest, ms
-- ARGV[8...]  ids of all holds of the allocation
--
-- Returns  {"DECLINED", revision, now, event, changes}
--          {"STALE_HOLDS", ids}  the allocation has these holds
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_HOLD"} | {"STALE_FENCE", fence} | {"WRONG_STATE", state}
--
--@include endings
--@include guard
local refused = refusal(KEYS[10], ARGV[2], KEYS[11], ARGV[3])
if refused then
  return refused
end
local before = redis.call('HGET', KEYS[11], 'state')
if not step('hold', before, 'decline') then
  return {'WRONG_STATE', before}
end
local stale = stale_holds(KEYS[12], {unpack(ARGV, 8)})
if stale then
  return stale
end
send_back(ARGV[4], KEYS[12], 14, KEYS[11], {})
free_hold(KEYS[11], KEYS[8], KEYS[13], KEYS[9], KEYS[7])
if redis.call('EXISTS', KEYS[13]) == 1 then
  local rest_until = now + tonumber(ARGV[7])
  put('resource', ARGV[5], KEYS[13], {'rest_until', rest_until, 'rest_reason', ARGV[6]})
  redis.call('ZADD', DEADLINES, rest_until, 'rest:' .. ARGV[5])
end
return commit('DECLINED', 'decline')

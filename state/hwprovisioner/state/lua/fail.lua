-- A host could not be readied up, broke while it was held, or was not accepted in time: its hold goes to CLEANING. An allocation
-- that was being prepared goes back to its place in the queue, without that resource, or ends when its tries are used up; one
-- that was ready ends.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what each user has used in each hour
-- KEYS[5]  hash    times from grant to end, by class
-- KEYS[6]  string  when somebody last looked, and the steady time then
-- KEYS[7]  hash    the manager
-- KEYS[8]  hash    the hold
-- KEYS[9]  hash    its allocation
-- KEYS[10] string  the allocation's alarm
-- KEYS[11...]  for each hold of the allocation, this one too: hash the hold, hash its resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the manager's registration; "" when the lab itself says so
-- ARGV[3]  id of the hold
-- ARGV[4]  its fence
-- ARGV[5]  id of the allocation
-- ARGV[6]  name of the resource
-- ARGV[7]  why, for people to read
-- ARGV[8]  how often it may be tried
-- ARGV[9]  time to remember the allocation should it end, ms
-- ARGV[10] "1" to do so only when the time to accept is over
-- ARGV[11...]  ids of all holds of the allocation
--
-- Returns  {"FAILED", revision, now, event, changes}
--          {"STALE_HOLDS", ids}  the allocation has these holds
--          {"EARLY"}  there is time left to accept, or it was accepted
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_HOLD"} | {"STALE_FENCE", fence} | {"WRONG_STATE", state}
--
--@include endings
--@include guard
local refused = refusal(KEYS[7], ARGV[2], KEYS[8], ARGV[4])
if refused then
  return refused
end
local before = redis.call('HGET', KEYS[8], 'state')
if not step('hold', before, 'fail') then
  return {'WRONG_STATE', before}
end
if ARGV[10] == '1' then
  local due = redis.call('ZSCORE', DEADLINES, 'offer:' .. ARGV[3])
  if not due or tonumber(due) > now then
    return {'EARLY'}
  end
end
local stale = stale_holds(KEYS[9], {unpack(ARGV, 11)})
if stale then
  return stale
end
failed = KEYS[8]
local allocation = redis.call('HMGET', KEYS[9], 'state', 'tries', 'excluded')
local tries = tonumber(allocation[2]) + 1
local detail = ARGV[6] .. ': ' .. ARGV[7]
if allocation[1] == 'READY' then
  end_allocation(ARGV[5], KEYS[9], KEYS[10], 11, 'RESOURCE_LOST', detail, tonumber(ARGV[9]))
elseif tries >= tonumber(ARGV[8]) then
  end_allocation(ARGV[5], KEYS[9], KEYS[10], 11, 'PREPARE_FAILED', detail, tonumber(ARGV[9]))
else
  send_back(ARGV[5], KEYS[9], 11, nil, {
    'tries', tries, 'excluded', with(allocation[3], ARGV[6]), 'last_failure', detail,
  })
end
return commit('FAILED', 'fail')

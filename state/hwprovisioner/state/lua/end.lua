-- The lab ends an allocation.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what each user has used in each hour
-- KEYS[5]  hash    times from grant to end, by class
-- KEYS[6]  string  when somebody last looked, and the steady time then
-- KEYS[7]  hash    the allocation
-- KEYS[8]  string  its alarm
-- KEYS[9...]  for each of its holds: hash the hold, hash its resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  reason
-- ARGV[4]  detail, for people to read
-- ARGV[5]  time to remember it, ms
-- ARGV[6]  only if this is due: wait, max, preempt or revoke; "" whatever is due
-- ARGV[7...]  ids of its holds
--
-- Returns  {"ENDED", revision, now, event, changes}
--          {"BEFORE", reason}  it had ended before
--          {"EARLY"}  not due
--          {"UNKNOWN"} | {"STALE_HOLDS", ids}
--
--@include endings
local allocation = redis.call('HMGET', KEYS[7], 'state', 'end_reason')
if not allocation[1] then
  return {'UNKNOWN'}
end
if not step('allocation', allocation[1], 'end') then
  return {'BEFORE', allocation[2]}
end
if ARGV[6] ~= '' then
  local due = redis.call('ZSCORE', DEADLINES, ARGV[6] .. ':' .. ARGV[2])
  if not due or tonumber(due) > now then
    return {'EARLY'}
  end
end
local stale = stale_holds(KEYS[7], {unpack(ARGV, 7)})
if stale then
  return stale
end
end_allocation(ARGV[2], KEYS[7], KEYS[8], 9, ARGV[3], ARGV[4], tonumber(ARGV[5]))
return commit('ENDED', 'end')

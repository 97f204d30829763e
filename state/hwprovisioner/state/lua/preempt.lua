-- Tells an allocation that has its hosts, through its heartbeats, that it gives way to another: it ends when its grace is over.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the scheduler's election
-- KEYS[5]  hash    the allocation
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the election
-- ARGV[3]  id of the allocation
-- ARGV[4]  id of the allocation that it gives way to
-- ARGV[5]  grace, ms
--
-- Returns  {"WARNED", revision, now, event, changes}
--          {"SAME"}  it had been told before, be it for another
--          {"DEPOSED"}  another scheduler has been elected
--          {"WRONG_STATE", state}  it has no hosts; state may be false
--
--@include change
if redis.call('HGET', KEYS[4], 'epoch') ~= ARGV[2] then
  return {'DEPOSED'}
end
local state = redis.call('HGET', KEYS[5], 'state')
if not step('allocation', state, 'preempt') then
  return {'WRONG_STATE', state}
end
local member = 'preempt:' .. ARGV[3]
if redis.call('ZSCORE', DEADLINES, member) then
  return {'SAME'}
end
local ends = now + tonumber(ARGV[5])
put('allocation', ARGV[3], KEYS[5], {'preempt_ms', ends, 'preempted_for', ARGV[4]})
redis.call('ZADD', DEADLINES, ends, member)
return commit('WARNED', 'preempt')

-- Takes back that an allocation gives way to another.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the scheduler's election
-- KEYS[5]  hash    the allocation
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the election
-- ARGV[3]  id of the allocation
--
-- Returns  {"SPARED", revision, now, event, changes}
--          {"SAME"}  it does not give way, or has ended
--          {"DEPOSED"}  another scheduler has been elected
--
--@include change
if redis.call('HGET', KEYS[4], 'epoch') ~= ARGV[2] then
  return {'DEPOSED'}
end
if redis.call('ZREM', DEADLINES, 'preempt:' .. ARGV[3]) == 0 then
  return {'SAME'}
end
put('allocation', ARGV[3], KEYS[5], {'preempt_ms', 0, 'preempted_for', ''})
return commit('SPARED', 'spare')

-- Elects a replica to schedule, or prolongs its election. Each new election has a higher epoch, which grants carry. All
-- replicas ask for the same span, so an election that lasts longer than that was made before the clock was set back.
--
-- KEYS[1]  hash    the scheduler's election
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the replica
-- ARGV[3]  how long it is elected for, ms; 0 resigns
--
-- Returns  {"ELECTED", epoch}
--          {"FOLLOWS", ms until the election of another ends}
--          {"RESIGNED"}
--
--@include now
local election = redis.call('HMGET', KEYS[1], 'replica', 'epoch', 'until_ms')
local is_mine = election[1] == ARGV[2]
local left = tonumber(election[3] or '0') - now
local span = tonumber(ARGV[3])
if not is_mine and left > 0 and (left <= span or span == 0) then
  return {'FOLLOWS', left}
end
if span == 0 then
  if is_mine then
    redis.call('HSET', KEYS[1], 'until_ms', 0)
  end
  return {'RESIGNED'}
end
local epoch = tonumber(election[2] or '0')
if not is_mine or left <= 0 then
  epoch = epoch + 1
end
redis.call('HSET', KEYS[1], 'replica', ARGV[2], 'epoch', epoch, 'until_ms', now + span)
return {'ELECTED', epoch}

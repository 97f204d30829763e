-- Elects a replica to schedule, or prolongs its election. With each other replica the epoch rises, which grants carry. All
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
-- Whose own election has run out was followed by nobody, so there is nothing to be taken over: a replica that was busy
-- for too long, as with loading a large lab, goes on.
if not is_mine then
  epoch = epoch + 1
end
redis.call('HSET', KEYS[1], 'replica', ARGV[2], 'epoch', epoch, 'until_ms', now + span)
return {'ELECTED', epoch}

-- Gives a booking other resources: one whose time has not come, or that has begun and is not granted yet. It is refused as in
-- book.lua when a resource that it had or gets is not as it was planned with.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the scheduler's election
-- KEYS[5]  hash    the allocation
-- KEYS[6...]  hash  each resource that it had, unless that is gone, or gets
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the election
-- ARGV[3]  id of the allocation
-- ARGV[4]  the reservation, as JSON
-- ARGV[5...]  for each resource: its name, its fence and its list of bookings as planned with, the list to write
--
-- Returns  {"REBOOKED", revision, now, event, changes}
--          {"DEPOSED"}  another scheduler has been elected
--          {"NOT_BOOKED", state}  it is no booking, or no longer waits for its resources; state may be false
--          {"STALE", resource}  it is not as it was planned with: plan again
--
--@include places
if redis.call('HGET', KEYS[4], 'epoch') ~= ARGV[2] then
  return {'DEPOSED'}
end
local allocation = redis.call('HMGET', KEYS[5], 'state', 'book_until_ms')
if not step('allocation', allocation[1], 'rebook') or not allocation[2] then
  return {'NOT_BOOKED', allocation[1]}
end
local stale = stale_place(6, 5)
if stale then
  return stale
end
put('allocation', ARGV[3], KEYS[5], {'reservation', ARGV[4]})
put_places(6, 5)
return commit('REBOOKED', 'rebook')

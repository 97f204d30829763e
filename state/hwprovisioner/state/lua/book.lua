-- Books a set of resources from a time to a time, once for each request id. Until then it has no lease. Whoever planned this
-- looked at a view that may be old, so it is refused when a resource was held, given back or booked meanwhile.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the allocation
-- KEYS[5]  string  the request id's memory
-- KEYS[6]  set     index of allocations
-- KEYS[7...]  hash  each resource that it books
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  SHA-256 of its token
-- ARGV[4]  digest of what was asked
-- ARGV[5]  from when, ms since the epoch; it may have come already
-- ARGV[6...]  for each resource: its name, its fence and its list of bookings as planned with, the list to write; then further
--          fields of the record: names and values
--
-- Returns  {"BOOKED", revision, now, event, changes}
--          {"KNOWN", allocation id, digest}  the request id came before
--          {"STALE", resource}  it is not as it was planned with: plan again
--
--@include requests
--@include places
local known = known_request(KEYS[5])
if known then
  return known
end
local stale = stale_place(7, 6)
if stale then
  return stale
end
create_allocation(ARGV[2], KEYS[4], KEYS[6], KEYS[5], ARGV[3], ARGV[4], {
  'state', 'BOOKED', 'book_from_ms', ARGV[5], 'wait_ms', 0, 'max_ms', 0,
}, 6 + 4 * (#KEYS - 6))
put_places(7, 6)
redis.call('ZADD', DEADLINES, ARGV[5], 'begin:' .. ARGV[2])
return commit('BOOKED', 'book')

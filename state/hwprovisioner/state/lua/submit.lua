-- Queues a request, once for each request id.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the allocation
-- KEYS[5]  string  its alarm
-- KEYS[6]  string  the request id's memory
-- KEYS[7]  set     index of allocations
-- KEYS[8]  string  when somebody last looked, and the steady time then
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the allocation
-- ARGV[3]  SHA-256 of its token
-- ARGV[4]  digest of what was asked
-- ARGV[5]  lease TTL, ms
-- ARGV[6]  wait time-out, ms; 0 for none
-- ARGV[7...]  further fields of the record: names and values
--
-- Returns  {"SUBMITTED", revision, now, event, changes}
--          {"KNOWN", allocation id, digest}  the request id came before
--
--@include requests
--@include steady
local known = known_request(KEYS[6])
if known then
  return known
end
local id, ttl, wait = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
create_allocation(id, KEYS[4], KEYS[7], KEYS[6], ARGV[3], ARGV[4], {
  'state', 'QUEUED', 'since_ms', steady_time(KEYS[8]), 'ttl_ms', ttl, 'wait_ms', wait, 'wait_left_ms', wait,
  'left_ms', ttl, 'turn', next_revision(),
}, 7)
redis.call('SET', KEYS[5], '', 'PXAT', now + ttl)
redis.call('ZADD', DEADLINES, now + ttl, 'lease:' .. id)
if wait > 0 then
  redis.call('ZADD', DEADLINES, now + wait, 'wait:' .. id)
end
return commit('SUBMITTED', 'submit')

-- Queues a request, once for each request id.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the allocation
-- KEYS[5]  string  its alarm
-- KEYS[6]  string  the request id's memory
-- KEYS[7]  set     index of allocations
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
--@include change
local known = redis.call('GET', KEYS[6])
if known then
  return {'KNOWN', string.match(known, '^(%S+) (%S+)$')}
end
local id, ttl, wait = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
local fields = {
  'id', id, 'state', 'QUEUED', 'ttl_ms', ttl, 'wait_ms', wait, 'submit_ms', now, 'left_ms', ttl, 'tries', 0, 'pending', 0,
  'holds', '', 'excluded', '', 'request_key', KEYS[6], 'turn', next_revision(),
}
for i = 7, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
create('allocation', id, KEYS[4], KEYS[7], fields)
-- Not through put: secrets stay out of the change log.
redis.call('HSET', KEYS[4], 'token_sha', ARGV[3])
redis.call('SET', KEYS[6], id .. ' ' .. ARGV[4])
redis.call('SET', KEYS[5], '', 'PXAT', now + ttl)
redis.call('ZADD', DEADLINES, now + ttl, 'lease:' .. id)
if wait > 0 then
  redis.call('ZADD', DEADLINES, now + wait, 'wait:' .. id)
end
return commit('SUBMITTED', 'submit')

-- A manager registers: its newest registration makes those before stale. Its epoch is the revision of this change, so it is
-- higher than any before, and as little as a revision ever comes twice.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  set     index of managers
-- KEYS[5]  hash    the manager
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  version of its software
-- ARGV[4]  silence limit, ms
--
-- Returns  {"REGISTERED", revision, now, event, changes, epoch}
--
--@include change
local before = redis.call('HGET', KEYS[5], 'presence')
local presence = before and step('presence', before, 'register') or 'ONLINE'
local epoch = next_revision()
create('manager', ARGV[2], KEYS[5], KEYS[4], {
  'id', ARGV[2], 'presence', presence, 'epoch', epoch, 'version', ARGV[3], 'register_ms', now,
})
redis.call('ZADD', DEADLINES, now + tonumber(ARGV[4]), 'manager:' .. ARGV[2])
local reply = commit('REGISTERED', 'register')
reply[6] = epoch
return reply

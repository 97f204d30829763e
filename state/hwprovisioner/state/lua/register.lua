-- A manager registers: its newest registration makes those before stale. Its epoch is the revision of this change, so it is
-- higher than any before, and as little as a revision ever comes twice. With another journal than before, it does not know what
-- was begun until then: that is noted as well, and stays so until the journal is another again.
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
-- ARGV[5]  id of its journal
--
-- Returns  {"REGISTERED", revision, now, event, changes, epoch}
--
--@include change
local before = redis.call('HMGET', KEYS[5], 'presence', 'journal_id', 'journal_epoch')
local presence = before[1] and step('presence', before[1], 'register') or 'ONLINE'
local epoch = next_revision()
create('manager', ARGV[2], KEYS[5], KEYS[4], {
  'id', ARGV[2], 'presence', presence, 'epoch', epoch, 'version', ARGV[3], 'register_ms', now,
  'journal_id', ARGV[5], 'journal_epoch', before[2] == ARGV[5] and before[3] or epoch,
})
redis.call('ZADD', DEADLINES, now + tonumber(ARGV[4]), 'manager:' .. ARGV[2])
local reply = commit('REGISTERED', 'register')
reply[6] = epoch
return reply

-- A manager says that a resource is not to be had, or no longer exists; then its record goes once nothing holds it.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what is kept of removed resources
-- KEYS[5]  set     index of resources
-- KEYS[6]  hash    the manager
-- KEYS[7]  hash    the resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  epoch of its registration
-- ARGV[4]  name of the resource
-- ARGV[5]  why, for people to read
-- ARGV[6]  "1" if it no longer exists
--
-- Returns  {"WITHDRAWN", revision, now, event, changes}
--          {"SAME"}  that was known before
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_RESOURCE"}
--
--@include change
--@include epoch
--@include removal
local old = outdated(KEYS[6], ARGV[3])
if old then
  return old
end
local known = redis.call('HMGET', KEYS[7], 'manager', 'volunteered', 'withdrawn_reason', 'removed', 'holds')
if known[1] ~= ARGV[2] then
  return {'NO_SUCH_RESOURCE'}
end
if ARGV[6] == '1' and known[5] == '' then
  remove(ARGV[4], KEYS[7], KEYS[5], KEYS[4])
  return commit('WITHDRAWN', 'withdraw')
end
if known[2] == '0' and known[3] == ARGV[5] and known[4] == ARGV[6] then
  return {'SAME'}
end
put('resource', ARGV[4], KEYS[7], {'volunteered', 0, 'withdrawn_reason', ARGV[5], 'removed', ARGV[6]})
return commit('WITHDRAWN', 'withdraw')

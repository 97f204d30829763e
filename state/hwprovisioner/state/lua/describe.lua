-- A manager says what a resource of its own is, whether it is to be had, and which fences it has seen of it: should Redis have
-- lost them, the next is above both sides'.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    what is kept of removed resources
-- KEYS[5]  set     index of resources
-- KEYS[6]  hash    the manager
-- KEYS[7]  hash    the resource
-- KEYS[8]  hash    the manager that represents it at present, as far as the caller knows
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  epoch of its registration
-- ARGV[4]  name of the resource
-- ARGV[5]  "1" if it is to be had, "0" if not
-- ARGV[6]  why not, for people to read
-- ARGV[7]  what it is, as JSON
-- ARGV[8]  holds at once
-- ARGV[9]  cpus
-- ARGV[10] memory, bytes
-- ARGV[11] where what was detected contradicts what the manager was told, as JSON; "" if it does not say
-- ARGV[12] the highest fence that it has seen of the resource
--
-- Returns  {"DESCRIBED", revision, now, event, changes}
--          {"SAME"}  all that was known before
--          {"SUPERSEDED"} | {"FORGOTTEN"}
--          {"TAKEN", manager}  another manager, which is not lost, represents a resource of that name, or it is held
--
--@include change
--@include epoch
--@include removal
local old = outdated(KEYS[6], ARGV[3])
if old then
  return old
end
local name = ARGV[4]
local known = redis.call(
  'HMGET', KEYS[7], 'manager', 'spec', 'volunteered', 'withdrawn_reason', 'generation', 'removed', 'holds', 'warnings',
  'fence', 'epoch'
)
local warnings = ARGV[11] == '' and known[8] or ARGV[11]
if not known[1] then
  create('resource', name, KEYS[7], KEYS[5], extend(first_fields(name, KEYS[4], tonumber(ARGV[12])), {
    'name', name, 'manager', ARGV[2], 'epoch', ARGV[3], 'spec', ARGV[7], 'generation', 1, 'volunteered', ARGV[5],
    'withdrawn_reason', ARGV[6], 'removed', 0, 'warnings', warnings or '', 'deadline_ms', 0,
    'slots', ARGV[8], 'cpus', ARGV[9], 'memory', ARGV[10],
    'used_slots', 0, 'used_cpus', 0, 'used_memory', 0, 'used_gpus', '', 'holds', '', 'booked', '',
    'rest_until', 0, 'rest_reason', '',
  }))
  return commit('DESCRIBED', 'describe')
end
if known[1] ~= ARGV[2] then
  local other = redis.call('HMGET', KEYS[8], 'id', 'presence')
  if other[1] ~= known[1] or other[2] ~= 'LOST' or known[7] ~= '' then
    return {'TAKEN', known[1]}
  end
end
local fence = math.max(tonumber(known[9]), tonumber(ARGV[12]))
if known[1] == ARGV[2] and known[2] == ARGV[7] and known[3] == ARGV[5] and known[4] == ARGV[6] and known[6] == '0'
  and known[8] == warnings and tonumber(known[9]) == fence and known[10] == ARGV[3] then
  return {'SAME'}
end
local generation = tonumber(known[5])
if known[2] ~= ARGV[7] then
  generation = generation + 1
end
put('resource', name, KEYS[7], {
  'manager', ARGV[2], 'spec', ARGV[7], 'generation', generation, 'volunteered', ARGV[5], 'withdrawn_reason', ARGV[6],
  'removed', 0, 'slots', ARGV[8], 'cpus', ARGV[9], 'memory', ARGV[10], 'warnings', warnings, 'fence', fence,
  'epoch', ARGV[3],
})
return commit('DESCRIBED', 'describe')

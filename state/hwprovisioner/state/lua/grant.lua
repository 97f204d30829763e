-- Grants a queued allocation all its hosts at once, or changes nothing.
--
-- Whoever planned this looked at a view that may be old, so everything is checked again: the election, the allocation, and
-- of each resource who may have it, whether its description, holds and bookings are those that were planned with, and its room.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the scheduler's election
-- KEYS[5]  set     index of holds
-- KEYS[6]  hash    waits, by class
-- KEYS[7]  hash    the allocation
-- KEYS[8...]  for each host: hash the resource, hash its manager, hash the new hold
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  epoch of the election
-- ARGV[3]  id of the allocation
-- ARGV[4]  time to accept an offer, ms
-- ARGV[5...]  for each host: its name, the resource's name, its generation, the fence of the new hold, and the
--          share: cpus, memory in bytes, cards between commas; and who has booked the resource, ids between commas
--
-- Returns  {"GRANTED", revision, now, event, changes}
--          {"DEPOSED"}  another scheduler has been elected
--          {"NOT_QUEUED", state}  the allocation is not queued any longer; state may be false
--          {"REFUSED", resource, why}  the plan does not fit any longer
--
--@include room
--@include history
if redis.call('HGET', KEYS[4], 'epoch') ~= ARGV[2] then
  return {'DEPOSED'}
end
local allocation = redis.call(
  'HMGET', KEYS[7], 'state', 'max_ms', 'grant_ms', 'book_until_ms', 'class_id', 'submit_ms', 'tolerates'
)
local state = allocation[1] and step('allocation', allocation[1], 'grant')
if not state then
  return {'NOT_QUEUED', allocation[1]}
end

local hosts = {}
for i = 0, (#KEYS - 7) / 3 - 1 do
  local host, name, generation, fence, cpus, memory, gpus, booked = unpack(ARGV, 5 + i * 8, 12 + i * 8)
  local key, manager_key, hold_key = unpack(KEYS, 8 + i * 3, 10 + i * 3)
  local resource = load(key)
  local want = {
    host = host, name = name, generation = tonumber(generation), fence = tonumber(fence), cpus = tonumber(cpus),
    memory = tonumber(memory), gpus = gpus, booked = booked, id = name .. '.' .. fence,
    resource = resource, key = key, hold_key = hold_key, tolerates = allocation[7] == '1',
  }
  local why = obstacle(resource, manager_key, want)
  if why then
    return {'REFUSED', name, why}
  end
  take(resource, want)
  hosts[#hosts + 1] = want
end
if #hosts == 0 then
  return {'REFUSED', '', 'no hosts'}
end

local ids = ''
for _, want in ipairs(hosts) do
  local resource = want.resource
  create('hold', want.id, want.hold_key, KEYS[5], {
    'id', want.id, 'allocation', ARGV[3], 'host', want.host, 'resource', want.name, 'manager', resource.manager,
    'state', 'OFFERED', 'fence', want.fence, 'cpus', want.cpus, 'memory', want.memory, 'gpus', want.gpus,
    'progress', '',
  })
  put('resource', want.name, want.key, {
    'fence', resource.fence, 'holds', resource.holds, 'used_slots', resource.used_slots,
    'used_cpus', resource.used_cpus, 'used_memory', resource.used_memory, 'used_gpus', resource.used_gpus,
  })
  redis.call('ZADD', DEADLINES, now + tonumber(ARGV[4]), 'offer:' .. want.id)
  ids = with(ids, want.id)
end
put('allocation', ARGV[3], KEYS[7], {
  'state', state, 'grant_ms', now, 'left_ms', lease_left(ARGV[3]), 'holds', ids, 'pending', #hosts,
})
redis.call('ZREM', DEADLINES, 'wait:' .. ARGV[3])
if tonumber(allocation[2]) > 0 then
  redis.call('ZADD', DEADLINES, now + tonumber(allocation[2]), 'max:' .. ARGV[3])
end
-- What is booked has not waited, and what is granted again has been counted.
if not allocation[3] and not allocation[4] then
  remember(KEYS[6], allocation[5] or '', math.max(0, now - tonumber(allocation[6])))
end
return commit('GRANTED', 'grant')

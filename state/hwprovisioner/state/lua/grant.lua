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
-- KEYS[7]  string  when somebody last looked, and the steady time then
-- KEYS[8]  hash    the allocation
-- KEYS[9...]  for each host: hash the resource, hash its manager, hash the new hold
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
--@include granting
if redis.call('HGET', KEYS[4], 'epoch') ~= ARGV[2] then
  return {'DEPOSED'}
end
local allocation = redis.call('HMGET', KEYS[8], 'state', 'tolerates')
if not allocation[1] or not step('allocation', allocation[1], 'grant') then
  return {'NOT_QUEUED', allocation[1]}
end

local hosts = {}
for i = 0, (#KEYS - 8) / 3 - 1 do
  local host, name, generation, fence, cpus, memory, gpus, booked = unpack(ARGV, 5 + i * 8, 12 + i * 8)
  local key, manager_key, hold_key = unpack(KEYS, 9 + i * 3, 11 + i * 3)
  local resource = load(key)
  local want = {
    host = host, name = name, generation = tonumber(generation), fence = tonumber(fence), cpus = tonumber(cpus),
    memory = tonumber(memory), gpus = gpus, booked = booked, id = name .. '.' .. fence,
    resource = resource, key = key, hold_key = hold_key, tolerates = allocation[2] == '1',
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

hold_hosts(ARGV[3], KEYS[8], KEYS[5], KEYS[6], KEYS[7], hosts, 'OFFERED')
for _, want in ipairs(hosts) do
  redis.call('ZADD', DEADLINES, now + tonumber(ARGV[4]), 'offer:' .. want.id)
end
return commit('GRANTED', 'grant')

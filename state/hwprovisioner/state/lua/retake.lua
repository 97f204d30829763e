-- Gives an allocation back the hosts that it was granted and that Redis has lost: all of them, or none. Its manager has them in
-- hand, and has registered before anything else was granted there. Whether they are ready it says afterwards, as to any hold that
-- it has accepted.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  set     index of holds
-- KEYS[5]  hash    waits, by class
-- KEYS[6]  string  when somebody last looked, and the steady time then
-- KEYS[7]  hash    the manager
-- KEYS[8]  hash    the allocation
-- KEYS[9...]  for each host: hash the resource, hash the hold
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the manager
-- ARGV[3]  epoch of its registration
-- ARGV[4]  id of the allocation
-- ARGV[5...]  for each host: its name, the resource's name, the fence of the hold, and the share: cpus, memory in bytes,
--          cards between commas
--
-- Returns  {"RETAKEN", revision, now, event, changes}
--          {"SUPERSEDED"} | {"FORGOTTEN"}
--          {"NOT_QUEUED", state}  the allocation is not queued; state may be false
--          {"REFUSED", resource, why}  it has been granted to others, or is out of service
--
--@include granting
--@include epoch
local old = outdated(KEYS[7], ARGV[3])
if old then
  return old
end
local allocation = redis.call('HMGET', KEYS[8], 'state', 'tolerates')
if not allocation[1] or not step('allocation', allocation[1], 'grant') then
  return {'NOT_QUEUED', allocation[1]}
end

local hosts = {}
for i = 0, (#KEYS - 8) / 2 - 1 do
  local host, name, fence, cpus, memory, gpus = unpack(ARGV, 5 + i * 6, 10 + i * 6)
  local key, hold_key = unpack(KEYS, 9 + i * 2, 10 + i * 2)
  local resource = load(key)
  local want = {
    host = host, name = name, fence = tonumber(fence), cpus = tonumber(cpus), memory = tonumber(memory), gpus = gpus,
    id = name .. '.' .. fence, resource = resource, key = key, hold_key = hold_key, tolerates = allocation[2] == '1',
  }
  if resource.manager ~= ARGV[2] then
    return {'REFUSED', name, 'it is not of this manager'}
  end
  if resource.admin ~= 'ENABLED' and not want.tolerates then
    return {'REFUSED', name, 'it is out of service'}
  end
  if redis.call('EXISTS', hold_key) == 1 or not has_room(resource, want) then
    return {'REFUSED', name, 'others have it'}
  end
  take(resource, want)
  hosts[#hosts + 1] = want
end
if #hosts == 0 then
  return {'REFUSED', '', 'no hosts'}
end
hold_hosts(ARGV[4], KEYS[8], KEYS[4], KEYS[5], KEYS[6], hosts, step('hold', 'OFFERED', 'accept'))
return commit('RETAKEN', 'retake')

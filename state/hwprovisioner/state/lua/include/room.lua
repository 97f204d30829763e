-- The room of resources, as it is and as a grant under way leaves it.
--
--@include holds
local ROOM = {
  'manager', 'generation', 'fence', 'volunteered', 'removed', 'health', 'admin', 'slots', 'cpus', 'memory',
  'used_slots', 'used_cpus', 'used_memory', 'used_gpus', 'holds', 'rest_until', 'booked', 'epoch',
}

local resources = {}

-- A resource as it is, with what this grant has already taken of it.
local function load(key)
  if not resources[key] then
    local values = redis.call('HMGET', key, unpack(ROOM))
    local resource = {}
    for i, name in ipairs(ROOM) do
      resource[name] = tonumber(values[i]) or values[i]
    end
    -- Words stay words, even those that look like numbers.
    resource.manager, resource.used_gpus, resource.holds, resource.booked = values[1], values[14], values[15], values[17] or ''
    resources[key] = resource
  end
  return resources[key]
end

local function has_room(resource, want)
  -- Differences of amounts are exact, sums of the largest are not.
  return resource.used_slots + 1 <= resource.slots and want.cpus <= resource.cpus - resource.used_cpus
    and want.memory <= resource.memory - resource.used_memory
    and without(resource.used_gpus, split(want.gpus)) == resource.used_gpus
end

-- Why a host cannot have what was planned for it, or nil. What was volunteered in an earlier registration of its manager does not
-- count: the manager has not told yet what it holds.
local function obstacle(resource, manager_key, want)
  if not resource.manager or resource.volunteered ~= 1 or resource.removed == 1 then
    return 'not volunteered'
  end
  local manager = redis.call('HMGET', manager_key, 'id', 'presence', 'epoch')
  if manager[1] ~= resource.manager then
    return 'changed'
  end
  if manager[2] ~= 'ONLINE' or tonumber(manager[3]) ~= resource.epoch then
    return 'manager away'
  end
  if resource.health ~= 'HEALTHY' or not (resource.admin == 'ENABLED' or want.tolerates) or resource.rest_until ~= 0 then
    return 'out of service'
  end
  if resource.generation ~= want.generation or resource.fence + 1 ~= want.fence then
    return 'changed'
  end
  if resource.booked ~= want.booked then
    return 'booked meanwhile'
  end
  return not has_room(resource, want) and 'no room' or nil
end

-- Takes what a host wants.
local function take(resource, want)
  resource.fence = math.max(resource.fence, want.fence)
  resource.holds = with(resource.holds, want.id)
  resource.used_slots = resource.used_slots + 1
  resource.used_cpus = resource.used_cpus + want.cpus
  resource.used_memory = resource.used_memory + want.memory
  resource.used_gpus = with(resource.used_gpus, want.gpus)
end

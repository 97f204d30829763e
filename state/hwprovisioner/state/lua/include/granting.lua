-- How an allocation gets its hosts: each is a hold, and what that has of its resource is taken.
--
--@include room
--@include history
--@include steady

-- Lets a queued allocation hold what its hosts want, which was taken of the resources; the holds begin in a state.
local function hold_hosts(id, key, hold_index, waits, looked, hosts, hold_state)
  local allocation = redis.call(
    'HMGET', key, 'state', 'max_ms', 'grant_ms', 'book_until_ms', 'class_id', 'since_ms', 'wait_left_ms'
  )
  local steady = steady_time(looked)
  local waited = math.max(0, steady - tonumber(allocation[6] or steady))
  local ids = ''
  for _, want in ipairs(hosts) do
    local resource = want.resource
    create('hold', want.id, want.hold_key, hold_index, {
      'id', want.id, 'allocation', id, 'host', want.host, 'resource', want.name, 'manager', resource.manager,
      'state', hold_state, 'fence', want.fence, 'cpus', want.cpus, 'memory', want.memory, 'gpus', want.gpus,
      'progress', '',
    })
    put('resource', want.name, want.key, {
      'fence', resource.fence, 'holds', resource.holds, 'used_slots', resource.used_slots,
      'used_cpus', resource.used_cpus, 'used_memory', resource.used_memory, 'used_gpus', resource.used_gpus,
    })
    ids = with(ids, want.id)
  end
  put('allocation', id, key, {
    'state', step('allocation', allocation[1], 'grant'), 'grant_ms', now, 'since_ms', steady, 'left_ms', lease_left(id),
    'holds', ids, 'pending', #hosts, 'wait_left_ms', math.max(0, tonumber(allocation[7] or '0') - waited),
  })
  redis.call('ZREM', DEADLINES, 'wait:' .. id)
  if tonumber(allocation[2]) > 0 then
    redis.call('ZADD', DEADLINES, now + tonumber(allocation[2]), 'max:' .. id)
  end
  -- What is booked has not waited, and what is granted again has been counted.
  if not allocation[3] and not allocation[4] then
    remember(waits, allocation[5] or '', waited)
  end
end

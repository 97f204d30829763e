-- What happens to holds and to what they have of their resources.
--
--@include change
--@include lists
--@include removal

-- The next fence of a resource.
local function raised_fence(resource_key)
  return tonumber(redis.call('HGET', resource_key, 'fence') or '0') + 1
end

-- Ends a hold: it goes to CLEANING with a new fence. What it has of the resource stays taken.
local function end_hold(hold_key, resource_key, event)
  local hold = redis.call('HMGET', hold_key, 'id', 'state', 'resource')
  local state = step('hold', hold[2], event)
  if not state then
    return
  end
  local fence = raised_fence(resource_key)
  put('resource', hold[3], resource_key, {'fence', fence})
  put('hold', hold[1], hold_key, {
    'state', state, 'fence', fence, 'progress', '', 'failed', event == 'fail' and 1 or 0,
    'begun', hold[2] ~= 'OFFERED' and 1 or 0,
  })
  redis.call('HDEL', hold_key, 'connection')
  redis.call('ZREM', DEADLINES, 'offer:' .. hold[1])
end

-- Takes a hold away and gives what it had back to the resource; a drained or removed resource without holds goes on its way.
local function free_hold(hold_key, hold_index, resource_key, resource_index, removed_key)
  local hold = redis.call('HMGET', hold_key, 'id', 'resource', 'cpus', 'memory', 'gpus')
  local resource = redis.call(
    'HMGET', resource_key, 'holds', 'used_cpus', 'used_memory', 'used_gpus', 'used_slots', 'admin', 'removed'
  )
  drop('hold', hold[1], hold_key, hold_index)
  redis.call('ZREM', DEADLINES, 'offer:' .. hold[1])
  local holds = without(resource[1], {hold[1]})
  if holds == '' and resource[7] == '1' then
    remove(hold[2], resource_key, resource_index, removed_key)
    return
  end
  local fields = {
    'holds', holds,
    'used_slots', resource[5] - 1,
    'used_cpus', resource[2] - hold[3],
    'used_memory', resource[3] - hold[4],
    'used_gpus', without(resource[4], split(hold[5])),
  }
  local drained = holds == '' and step('admin', resource[6], 'drained')
  if drained then
    extend(fields, {'admin', drained, 'deadline_ms', 0})
  end
  put('resource', hold[2], resource_key, fields)
end

-- Whether the ids, in any order, are the allocation's holds. Returns nil, or the reply that says which they are.
local function stale_holds(allocation_key, ids)
  local holds = redis.call('HGET', allocation_key, 'holds') or ''
  if without(holds, ids) == '' and #split(holds) == #ids then
    return nil
  end
  return {'STALE_HOLDS', holds}
end

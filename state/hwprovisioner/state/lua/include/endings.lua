-- How an allocation ends, or goes back to the queue. Callers pass the keys of its holds and their resources in pairs;
-- which holds an allocation has may have changed since the caller looked, so that is checked first.
--
--@include holds

-- Whether the ids, in any order, are the allocation's holds. Returns nil, or the reply that says which they are.
local function stale_holds(allocation_key, ids)
  local holds = redis.call('HGET', allocation_key, 'holds') or ''
  if without(holds, ids) == '' and #split(holds) == #ids then
    return nil
  end
  return {'STALE_HOLDS', holds}
end

local function end_holds(first_key, except)
  for i = first_key, #KEYS, 2 do
    if KEYS[i] ~= except then
      end_hold(KEYS[i], KEYS[i + 1], 'end')
    end
  end
end

-- Ends an allocation whose state allows it; its holds go to CLEANING. The record is kept for retention ms.
local function end_allocation(id, key, alarm, first_hold, reason, detail, retention)
  end_holds(first_hold)
  put('allocation', id, key, {
    'state', 'ENDED', 'end_reason', reason, 'end_detail', detail, 'end_ms', now, 'holds', '', 'pending', 0,
  })
  redis.call('DEL', alarm)
  redis.call('ZREM', DEADLINES, 'lease:' .. id, 'wait:' .. id, 'max:' .. id)
  redis.call('ZADD', DEADLINES, now + retention, 'forget:' .. id)
end

-- Sends an allocation back to its place in the queue; its holds go to CLEANING, but for one that is seen to elsewhere.
local function send_back(id, key, first_hold, except, fields)
  end_holds(first_hold, except)
  fields[#fields + 1] = 'state'
  fields[#fields + 1] = 'QUEUED'
  fields[#fields + 1] = 'holds'
  fields[#fields + 1] = ''
  fields[#fields + 1] = 'draining'
  fields[#fields + 1] = ''
  fields[#fields + 1] = 'pending'
  fields[#fields + 1] = 0
  put('allocation', id, key, fields)
  local asked = redis.call('HMGET', key, 'wait_ms', 'submit_ms')
  redis.call('ZREM', DEADLINES, 'max:' .. id)
  if tonumber(asked[1]) > 0 then
    redis.call('ZADD', DEADLINES, tonumber(asked[2]) + tonumber(asked[1]), 'wait:' .. id)
  end
end

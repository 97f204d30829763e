-- What a manager's message about a hold must pass: the manager's newest registration, a hold of that manager, and the
-- hold's present fence. An epoch of '' is the lab itself.
--
--@include epoch

-- Returns nil, or the reply that refuses: {'SUPERSEDED'}, {'FORGOTTEN'}, {'NO_SUCH_HOLD'} or {'STALE_FENCE', fence}.
local function refusal(manager_key, epoch, hold_key, fence)
  local old = epoch ~= '' and outdated(manager_key, epoch)
  if old then
    return old
  end
  local hold = redis.call('HMGET', hold_key, 'manager', 'fence')
  if not hold[1] or (epoch ~= '' and hold[1] ~= redis.call('HGET', manager_key, 'id')) then
    return {'NO_SUCH_HOLD'}
  end
  if hold[2] ~= fence then
    return {'STALE_FENCE', hold[2]}
  end
  return nil
end

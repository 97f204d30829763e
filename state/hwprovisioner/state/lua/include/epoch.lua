-- Whether a registration is its manager's newest. The state may be older than it, or empty: Redis lost something.

-- Returns nil, or the reply that refuses: {'SUPERSEDED'} by a newer one, {'FORGOTTEN'} if it is unknown here.
local function outdated(manager_key, epoch)
  local newest = redis.call('HGET', manager_key, 'epoch')
  if newest == epoch then
    return nil
  end
  return {tonumber(newest or '0') > tonumber(epoch) and 'SUPERSEDED' or 'FORGOTTEN'}
end

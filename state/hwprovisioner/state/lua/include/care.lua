-- Leases are only ended while somebody looks after them: see tend.lua. When nobody has for so long (ms), heartbeats may not have
-- been taken either, and leases are paused until restore.lua has given them their full length again. The same holds for a
-- clock that was set back.
--
--@include now
local PAUSED_AFTER = 2000

local function is_paused(tended_key)
  local tended = tonumber(redis.call('GET', tended_key) or '0')
  return math.abs(now - tended) > PAUSED_AFTER
end

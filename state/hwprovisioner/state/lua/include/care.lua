-- Leases are only ended while somebody looks after them (see tend.lua) and no heartbeat replica is silent (see sign_on.lua). When
-- one of both has been amiss for so long (ms), heartbeats may not have been taken either, and leases are paused until restore.lua
-- has given them their full length again. The same holds for a clock that was set back.
--
--@include now
local PAUSED_AFTER = 2000

-- What stands about a heartbeat replica: when it was heard, for how long at most leases are paused for it once it is silent, and
-- which process it is; "-" if it has left.
local function beater_of(record)
  local heard, limit, process = string.match(record or '', '^(%-?%d+) (%d+) (%S+)$')
  return tonumber(heard), tonumber(limit), process
end

-- Of the heartbeat replicas that are silent the one that is to be given up first: its id, its silence and its limit.
local function silent_beater(beaters_key)
  local found, silence, limit
  local records = redis.call('HGETALL', beaters_key)
  for i = 1, #records, 2 do
    local heard, longest = beater_of(records[i + 1])
    if now - heard > PAUSED_AFTER and (not found or now - heard - longest > silence - limit) then
      found, silence, limit = records[i], now - heard, longest
    end
  end
  return found, silence, limit
end

local function is_tended(tended_key)
  -- No number once leases are to be restored: see silence.lua.
  local tended = tonumber(redis.call('GET', tended_key) or '0') or 0
  return math.abs(now - tended) <= PAUSED_AFTER
end

local function is_paused(tended_key, beaters_key)
  return not is_tended(tended_key) or silent_beater(beaters_key) ~= nil
end

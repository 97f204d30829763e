-- The lab's steady time, in ms: what durations are reckoned by, as the clock may be set. It goes as the clock does while somebody
-- looks (see silence.lua), which is several times in a second. So a step of the clock is never in it, nor is a time in which
-- nothing ran: of either it goes by LONGEST_GAP at most.
--
--@include now
local LONGEST_GAP = 2000

-- What the key says: when somebody looked last, and the steady time then. No numbers if nobody ever has.
local function looked_at(looked_key)
  local at, steady = string.match(redis.call('GET', looked_key) or '', '^(%d+) (%d+)$')
  return tonumber(at), tonumber(steady)
end

-- It begins as the clock.
local function steady_time(looked_key)
  local at, steady = looked_at(looked_key)
  return at and steady + math.min(math.max(now - at, 0), LONGEST_GAP) or now
end

-- What is remembered of the past, as raw facts: what it weighs is for its readers to decide.
--
--@include now
--@include lists
local NEWEST, CLASSES, HOUR = 64, 20000, 3600000

-- Adds host-ms to what a user has used, in the hour that they ended in.
local function add_use(key, user, amount)
  redis.call('HINCRBY', key, math.floor(now / HOUR) .. ':' .. user, string.format('%.0f', amount))
end

-- Notes one more time, in ms, of a class; of each the newest are kept. A flood of classes does not grow the hash for ever.
local function remember(key, class, ms)
  local known = redis.call('HGET', key, class)
  if class == '' or (not known and redis.call('HLEN', key) >= CLASSES) then
    return
  end
  local times = split(known)
  times[#times + 1] = string.format('%.0f', ms)
  redis.call('HSET', key, class, table.concat(times, ',', math.max(1, #times - NEWEST + 1)))
end

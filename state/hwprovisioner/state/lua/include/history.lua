-- What is remembered of the past, as raw facts: what it weighs is for its readers to decide.
--
--@include lists
local NEWEST, CLASSES, HOUR, HOURS = 64, 20000, 3600000, 720

-- Adds what a user has used to the hours of steady time in which it was used; what is older than 30 days is not remembered.
local function add_use(key, user, hosts, since, till)
  local last = math.floor(till / HOUR)
  for hour = math.max(math.floor(since / HOUR), last - HOURS), last do
    local span = math.min(till, (hour + 1) * HOUR) - math.max(since, hour * HOUR)
    if span > 0 then
      redis.call('HINCRBY', key, string.format('%.0f:%s', hour, user), string.format('%.0f', hosts * span))
    end
  end
end

-- Notes one more time, in ms, of a class; of each the newest are kept. Where there are too many classes, any one makes room.
local function remember(key, class, ms)
  if class == '' then
    return
  end
  local known = redis.call('HGET', key, class)
  if not known and redis.call('HLEN', key) >= CLASSES then
    redis.call('HDEL', key, redis.call('HRANDFIELD', key))
  end
  local times = split(known)
  times[#times + 1] = string.format('%.0f', ms)
  redis.call('HSET', key, class, table.concat(times, ',', math.max(1, #times - NEWEST + 1)))
end

-- Reckoning how long heartbeat replicas have been silent. Only time counts in which scripts ran: when the clock was set, or Redis
-- was away, nobody knows how much has passed. So whoever reckons calls look_at first.
--
--@include care
--@include steady
local SET_BACK = 500

local function note_beater(beaters_key, id, heard, limit, process)
  redis.call('HSET', beaters_key, id, string.format('%.0f %.0f %s', heard, limit, process))
end

-- Has leases restored before any is ended, unless nobody ever looked after them: when somebody did last, and since when not.
local function pause(tended_key)
  local last = string.match(redis.call('GET', tended_key) or '', '^%d+')
  if last then
    redis.call('SET', tended_key, string.format('%s!%.0f', last, now))
  end
end

-- Notes that somebody looks. After a gap everybody is silent until they say otherwise, for as long as they were before it.
local function look_at(beaters_key, looked_key)
  local looked = looked_at(looked_key) or now
  redis.call('SET', looked_key, string.format('%.0f %.0f', now, steady_time(looked_key)))
  if now - looked >= -SET_BACK and now - looked <= PAUSED_AFTER then
    return
  end
  local records = redis.call('HGETALL', beaters_key)
  for i = 1, #records, 2 do
    local heard, limit, process = beater_of(records[i + 1])
    note_beater(beaters_key, records[i], now - math.max(looked - heard, PAUSED_AFTER + 1), limit, process)
  end
end

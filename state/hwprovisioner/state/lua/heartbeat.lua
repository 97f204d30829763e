-- Extends leases to their full length from now, each on its own. No change of the lab: nothing is logged. A lease that is over
-- is not extended, though its allocation may not have been ended yet; but while leases are paused (see care.lua)
-- none is over, as it gets its full length again. What is kept has a lease until then at least, and once it was released no
-- longer. What is booked has no lease yet: its holder is told how long until it begins.
--
-- KEYS[1]  zset    deadlines
-- KEYS[2]  string  when leases were last looked after
-- KEYS[3]  hash    heartbeat replicas
-- KEYS[4...]  for each beat: hash the allocation, string its alarm
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2...]  for each beat: id of the allocation, SHA-256 of the token
--
-- Returns  {"BEATS", one of the following for each beat...}
--          {"BEAT", left of the lease in ms, its full length in ms, state, left of the maximum duration in ms or -1,
--           those of its resources that are being drained, between commas, left until it gives way to another in ms or -1,
--           left until it ends because they are in ms or -1}
--          {"ENDED", reason, detail}
--          {"WRONG_TOKEN"}
--          {"UNKNOWN"}
--
--@include care
--@include keeping
-- What is left until a deadline, in ms; -1 if there is none.
local function left(member)
  local due = redis.call('ZSCORE', KEYS[1], member)
  return due and math.max(tonumber(due) - now, 0) or -1
end

local function has(amount)
  return amount and amount ~= '0'
end

local function beat(id, token_sha, key, alarm)
  local allocation = redis.call(
    'HMGET', key, 'state', 'token_sha', 'ttl_ms', 'draining', 'max_ms', 'book_until_ms', 'preempt_ms', 'revoke_ms',
    'keep_ms', 'released_ms'
  )
  local state = allocation[1]
  if not state then
    return {'UNKNOWN'}
  end
  if allocation[2] ~= token_sha then
    return {'WRONG_TOKEN'}
  end
  if state == 'ENDED' then
    local why = redis.call('HMGET', key, 'end_reason', 'end_detail')
    return {'ENDED', why[1] or '', why[2] or ''}
  end
  local ttl = tonumber(allocation[3])
  if state == 'BOOKED' then
    return {'BEAT', left('begin:' .. id), ttl, state, -1, '', -1, -1}
  end
  local due = redis.call('ZSCORE', KEYS[1], 'lease:' .. id)
  if due and tonumber(due) <= now and not is_paused(KEYS[2], KEYS[3]) then
    return {'ENDED', why_over(allocation[10])}
  end
  local ends = now + ttl
  if has(allocation[9]) or has(allocation[10]) then
    ends = kept_until(ends, allocation[9], allocation[10])
  end
  redis.call('ZADD', KEYS[1], ends, 'lease:' .. id)
  redis.call('SET', alarm, '', 'PXAT', ends)
  local longest = (has(allocation[5]) or has(allocation[6])) and left('max:' .. id) or -1
  local grace = has(allocation[7]) and left('preempt:' .. id) or -1
  local drained = has(allocation[8]) and left('revoke:' .. id) or -1
  local draining = string.gsub(allocation[4] or '', ':%d+', '')
  return {'BEAT', math.max(ends - now, 0), ttl, state, longest, draining, grace, drained}
end

local replies = {'BEATS'}
for i = 1, (#ARGV - 1) / 2 do
  replies[i + 1] = beat(ARGV[2 * i], ARGV[2 * i + 1], KEYS[2 * i + 2], KEYS[2 * i + 3])
end
return replies

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
-- ARGV[2...]  for each beat: lease:ID, its member of the deadlines; SHA-256 of the token
--
-- Returns  {"BEATS", a text for each beat...}: texts are cheaper than tables, and those of most beats are alike
--          "BEAT LEFT TTL STATE LONGEST GRACE DRAINED NAMES"
--              left of the lease, its full length, state, left of the maximum duration, left until it gives way to another,
--              left until it ends because resources of it are being drained, and the names of these, between commas. All in ms;
--              -1 for what there is not
--          "ENDED REASON DETAIL"
--          "WRONG_TOKEN"
--          "UNKNOWN"
--
--@include care
--@include keeping
--@include told
local count = (#ARGV - 1) / 2
local leases = {}
for i = 1, count do
  leases[i] = ARGV[2 * i]
end
-- The deadlines of all leases are read at once and written at once: a call for each would cost half as much again.
local dues = redis.call('ZMSCORE', KEYS[1], unpack(leases))
local extended = {}

local function beat(lease, token_sha, key, alarm, due)
  local allocation = redis.call(
    'HMGET', key, 'state', 'token_sha', 'ttl_ms', 'draining', 'max_ms', 'book_until_ms', 'preempt_ms', 'revoke_ms',
    'keep_ms', 'released_ms'
  )
  local state = allocation[1]
  if not state then
    return 'UNKNOWN'
  end
  if allocation[2] ~= token_sha then
    return 'WRONG_TOKEN'
  end
  if state == 'ENDED' then
    local why = redis.call('HMGET', key, 'end_reason', 'end_detail')
    return over(why[1] or '', why[2] or '')
  end
  if state == 'BOOKED' then
    return alive(lease, allocation, left('begin:', lease))
  end
  if due and tonumber(due) <= now and not is_paused(KEYS[2], KEYS[3]) then
    return over(why_over(allocation[10]))
  end
  local ends, remaining = now + tonumber(allocation[3]), allocation[3]
  if has(allocation[9]) or has(allocation[10]) then
    ends = kept_until(ends, allocation[9], allocation[10])
    remaining = until_then(ends)
  end
  extended[#extended + 1] = ends
  extended[#extended + 1] = lease
  -- The alarm is nearly always there, and costs less to move than to set.
  if redis.call('PEXPIREAT', alarm, ends) == 0 then
    redis.call('SET', alarm, '', 'PXAT', ends)
  end
  return alive(lease, allocation, remaining)
end

local replies = {'BEATS'}
for i = 1, count do
  replies[i + 1] = beat(leases[i], ARGV[2 * i + 1], KEYS[2 * i + 2], KEYS[2 * i + 3], dues[i])
end
if #extended > 0 then
  redis.call('ZADD', KEYS[1], unpack(extended))
end
return replies

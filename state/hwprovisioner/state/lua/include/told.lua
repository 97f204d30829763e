-- What a holder is told in answer to a beat: see heartbeat.lua for the texts, and for the order of an allocation's fields.
--
--@include now
local function has(amount)
  return amount and amount ~= '0'
end

local function until_then(ms)
  return string.format('%.0f', math.max(ms - now, 0))
end

-- What is left until another deadline of the allocation of a lease:ID.
local function left(kind, lease)
  local due = redis.call('ZSCORE', KEYS[1], kind .. string.sub(lease, 7))
  return due and until_then(tonumber(due)) or '-1'
end

local function over(reason, detail)
  return 'ENDED ' .. reason .. ' ' .. detail
end

local function alive(lease, allocation, remaining)
  local state, ttl, longest = allocation[1], allocation[3], '-1'
  if state ~= 'BOOKED' and (has(allocation[5]) or has(allocation[6])) then
    longest = left('max:', lease)
  end
  local grace = has(allocation[7]) and left('preempt:', lease) or '-1'
  local drained = has(allocation[8]) and left('revoke:', lease) or '-1'
  local draining = string.gsub(allocation[4] or '', ':%d+', '')
  -- Joined at once, which costs least.
  return 'BEAT ' .. remaining .. ' ' .. ttl .. ' ' .. state .. ' ' .. longest .. ' ' .. grace .. ' ' .. drained .. ' ' .. draining
end

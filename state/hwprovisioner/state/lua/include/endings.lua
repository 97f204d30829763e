-- How an allocation ends, or goes back to the queue. Callers pass the keys of its holds and their resources in pairs, last;
-- which holds an allocation has may have changed since the caller looked, so that is checked first. Every script that
-- includes this has KEYS[4] use, KEYS[5] spans.
--
--@include holds
--@include history
--@include outcomes
local USE, SPANS = KEYS[4], KEYS[5]
-- The hold that failed, if one did.
local failed

local function end_holds(key, first_key, except)
  local whose = outcome_of(unpack(redis.call('HMGET', key, 'user', 'class_id')))
  for i = first_key, #KEYS, 2 do
    if KEYS[i] ~= except then
      note_outcome(KEYS[i + 1], redis.call('HGET', KEYS[i], 'state'), KEYS[i] == failed, whose)
      end_hold(KEYS[i], KEYS[i + 1], KEYS[i] == failed and 'fail' or 'end')
    end
  end
end

-- Notes what an allocation that gives its hosts back has used since its grant; being ready, it ends.
local function note_use(key)
  local allocation = redis.call('HMGET', key, 'state', 'grant_ms', 'holds', 'user', 'class_id')
  local hosts = #split(allocation[3])
  if hosts > 0 then
    local since = math.min(now, tonumber(allocation[2]))
    local span = now - since
    add_use(USE, allocation[4] or '', hosts, since)
    if allocation[1] == 'READY' then
      remember(SPANS, allocation[5] or '', span)
    end
  end
end

-- Ends an allocation whose state allows it; its holds go to CLEANING. The record is kept for retention ms.
local function end_allocation(id, key, alarm, first_hold, reason, detail, retention)
  note_use(key)
  end_holds(key, first_hold)
  put('allocation', id, key, {
    'state', 'ENDED', 'end_reason', reason, 'end_detail', detail, 'end_ms', now, 'holds', '', 'pending', 0,
  })
  redis.call('DEL', alarm)
  redis.call('ZREM', DEADLINES, 'begin:' .. id, 'lease:' .. id, 'wait:' .. id, 'max:' .. id)
  redis.call('ZREM', DEADLINES, 'preempt:' .. id, 'revoke:' .. id)
  redis.call('ZADD', DEADLINES, now + retention, 'forget:' .. id)
end

local WAITING = {
  'state', 'QUEUED', 'holds', '', 'draining', '', 'revoke_ms', 0, 'pending', 0, 'preempt_ms', 0, 'preempted_for', '',
}

-- Sends an allocation back to its place in the queue; its holds go to CLEANING, but for one that is seen to elsewhere. What is
-- booked ends at the end of its time, queued or not.
local function send_back(id, key, first_hold, except, fields)
  note_use(key)
  end_holds(key, first_hold, except)
  put('allocation', id, key, extend(fields, WAITING))
  local asked = redis.call('HMGET', key, 'wait_ms', 'submit_ms', 'book_until_ms')
  redis.call('ZREM', DEADLINES, 'preempt:' .. id, 'revoke:' .. id)
  if not asked[3] then
    redis.call('ZREM', DEADLINES, 'max:' .. id)
  end
  if tonumber(asked[1]) > 0 then
    redis.call('ZADD', DEADLINES, tonumber(asked[2]) + tonumber(asked[1]), 'wait:' .. id)
  end
end

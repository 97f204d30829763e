-- How an allocation ends, or goes back to the queue. Callers pass the keys of its holds and their resources in pairs, last;
-- which holds an allocation has may have changed since the caller looked, so that is checked first. Every script that
-- includes this has KEYS[4] use, KEYS[5] spans, KEYS[6] looked.
--
--@include holds
--@include history
--@include outcomes
--@include steady
local USE, SPANS = KEYS[4], KEYS[5]
local steady = steady_time(KEYS[6])
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
  local allocation = redis.call('HMGET', key, 'state', 'since_ms', 'holds', 'user', 'class_id')
  local hosts = #split(allocation[3])
  if hosts > 0 then
    local since = math.min(steady, tonumber(allocation[2]))
    add_use(USE, allocation[4] or '', hosts, since, steady)
    if allocation[1] == 'READY' then
      remember(SPANS, allocation[5] or '', steady - since)
    end
  end
end

-- Ends an allocation whose state allows it; its holds go to CLEANING. The record is kept for retention ms.
local function end_allocation(id, key, alarm, first_hold, reason, detail, retention)
  note_use(key)
  end_holds(key, first_hold)
  put('allocation', id, key, {
    'state', 'ENDED', 'end_reason', reason, 'end_detail', detail, 'end_ms', now, 'since_ms', steady,
    'holds', '', 'pending', 0,
  })
  redis.call('DEL', alarm)
  redis.call('ZREM', DEADLINES, 'begin:' .. id, 'lease:' .. id, 'wait:' .. id, 'max:' .. id)
  redis.call('ZREM', DEADLINES, 'preempt:' .. id, 'revoke:' .. id)
  redis.call('ZADD', DEADLINES, now + retention, 'forget:' .. id)
end

local WAITING = {
  'state', 'QUEUED', 'holds', '', 'draining', '', 'revoke_ms', 0, 'pending', 0, 'preempt_ms', 0, 'preempted_for', '',
}

-- Sends an allocation back to its place in the queue; its holds go to CLEANING, but for one that is seen to elsewhere. It may
-- wait there for as long as it might when it was granted. What is booked ends at the end of its time, queued or not.
local function send_back(id, key, first_hold, except, fields)
  note_use(key)
  end_holds(key, first_hold, except)
  put('allocation', id, key, extend(extend(fields, {'since_ms', steady}), WAITING))
  local asked = redis.call('HMGET', key, 'wait_ms', 'wait_left_ms', 'book_until_ms')
  redis.call('ZREM', DEADLINES, 'preempt:' .. id, 'revoke:' .. id)
  if not asked[3] then
    redis.call('ZREM', DEADLINES, 'max:' .. id)
  end
  if tonumber(asked[1]) > 0 then
    redis.call('ZADD', DEADLINES, now + tonumber(asked[2]), 'wait:' .. id)
  end
end

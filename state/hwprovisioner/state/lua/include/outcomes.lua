-- What became of the newest holds of each resource that its manager had begun to ready up: raw facts, for others to judge what
-- speaks against the resource. They stand beside its record and not in the log, since the holds there tell the same.
--
--@include lists
local OUTCOMES = 32

-- Whose hold it was, without saying so: the user as the beginning of a hash, and the class.
local function outcome_of(user, class)
  return string.sub(redis.sha1hex(user or ''), 1, 12) .. ':' .. (class or '')
end

-- Notes how a hold ends that is in a state: `-WHOSE` if it failed, `+WHOSE` if it was ready and did not.
local function note_outcome(resource_key, state, has_failed, whose)
  if not has_failed and state ~= 'READY' or state == 'OFFERED' then
    return
  end
  local known = split(redis.call('HGET', resource_key, 'outcomes'))
  known[#known + 1] = (has_failed and '-' or '+') .. whose
  redis.call('HSET', resource_key, 'outcomes', table.concat(known, ',', math.max(1, #known - OUTCOMES + 1)))
end

-- Allocations that hold what is taken out of service: their holders are told so with their heartbeats, and when.
--
--@include change
--@include lists

-- Marks an allocation as having a resource that is drained, or takes the mark away where it is ''. A mark is the resource's
-- name, or NAME:MS if what holds it ends then; the allocation ends with the first of its resources that does. What tolerates
-- maintenance is left alone.
local function mark(id, key, name, new)
  local allocation = redis.call('HMGET', key, 'draining', 'tolerates')
  if allocation[2] == '1' then
    return
  end
  local marks = split(new)
  for _, each in ipairs(split(allocation[1])) do
    if string.match(each, '^[^:]+') ~= name then
      marks[#marks + 1] = each
    end
  end
  local first
  for _, each in ipairs(marks) do
    local ends = tonumber(string.match(each, ':(%d+)$'))
    first = ends and math.min(ends, first or ends) or first
  end
  put('allocation', id, key, {'draining', table.concat(marks, ','), 'revoke_ms', first or 0})
  if first then
    redis.call('ZADD', DEADLINES, first, 'revoke:' .. id)
  else
    redis.call('ZREM', DEADLINES, 'revoke:' .. id)
  end
end

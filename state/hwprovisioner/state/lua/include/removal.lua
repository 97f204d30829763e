-- What is kept of a resource that its manager no longer has, should it come back: its fence, which only rises, and what operators
-- and checks have said of it.
--
--@include change
--@include lists
local KEPT = {'fence', 'health', 'health_reason', 'admin', 'admin_reason', 'operator', 'operated_ms'}

-- Deletes a resource that nothing holds.
local function remove(name, key, index, removed_key)
  local kept = redis.call('HMGET', key, unpack(KEPT))
  kept[4] = step('admin', kept[4], 'drained') or kept[4]
  redis.call('HSET', removed_key, name, cjson.encode(kept))
  redis.call('ZREM', DEADLINES, 'rest:' .. name)
  drop('resource', name, key, index)
end

-- The fields with which a resource begins, or begins again; then its manager looks after what is suspected.
local function first_fields(name, removed_key)
  local kept = redis.call('HGET', removed_key, name)
  local values = kept and cjson.decode(kept) or {0, 'HEALTHY', '', 'ENABLED', '', '', 0}
  local fields = {'looks', values[2] == 'SUSPECT' and 1 or 0}
  for i, field in ipairs(KEPT) do
    extend(fields, {field, values[i]})
  end
  return fields
end

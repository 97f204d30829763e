-- What is kept of a resource that its manager no longer has, should it come back: its fence and the count of its looks, which
-- only rise, and what operators and checks have said of it.
--
--@include change
--@include lists
local KEPT = {
  {'fence', 0}, {'looks', 0}, {'health', 'HEALTHY'}, {'health_reason', ''}, {'admin', 'ENABLED'}, {'admin_reason', ''},
  {'operator', ''}, {'operated_ms', 0},
}

-- Deletes a resource that nothing holds.
local function remove(name, key, index, removed_key)
  local kept = {}
  for _, field in ipairs(KEPT) do
    kept[field[1]] = redis.call('HGET', key, field[1])
  end
  kept.admin = step('admin', kept.admin, 'drained') or kept.admin
  redis.call('HSET', removed_key, name, cjson.encode(kept))
  redis.call('ZREM', DEADLINES, 'rest:' .. name)
  drop('resource', name, key, index)
end

-- The fields with which a resource begins, or begins again, its fence not below one that was seen; then its manager looks after
-- what is suspected.
local function first_fields(name, removed_key, seen)
  local text = redis.call('HGET', removed_key, name)
  local kept = text and cjson.decode(text) or {}
  if kept.health == 'SUSPECT' then
    kept.looks = (kept.looks or 0) + 1
  end
  kept.fence = math.max(kept.fence or 0, seen)
  local fields = {}
  for _, field in ipairs(KEPT) do
    extend(fields, {field[1], kept[field[1]] or field[2]})
  end
  return fields
end

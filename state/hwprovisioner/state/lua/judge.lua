-- A resource's health is judged: by its manager, which has looked after it; by the lab, from what has failed on it; or by an
-- operator. What the lab suspects is looked after once more by its manager; what a manager finds well begins anew.
-- Looks are counted, and a manager's word carries the number of the newest that it knows. So it may come late, or again: that all
-- is well answers the newest look only, and what speaks against a resource is found out anew if it is older than that.
--
-- KEYS[1]  string  revision
-- KEYS[2]  stream  log
-- KEYS[3]  zset    deadlines
-- KEYS[4]  hash    the resource
-- KEYS[5]  hash    the manager that says so; if it is another who does, the manager of the resource
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  name of the resource
-- ARGV[3]  event
-- ARGV[4]  why, for people to read
-- ARGV[5]  who says so: manager, lab or operator
-- ARGV[6]  id of the manager, or name of the operator
-- ARGV[7]  epoch of the manager's registration; "" for others
-- ARGV[8]  the newest look that whoever says so knows of; "" for operators
--
-- Returns  {"JUDGED", revision, now, event, changes}
--          {"SAME"}  that was known before, or is older than the newest look
--          {"SUPERSEDED"} | {"FORGOTTEN"} | {"NO_SUCH_RESOURCE"} | {"WRONG_STATE", state}
--
--@include change
--@include epoch
--@include lists
local is_manager, is_lab = ARGV[5] == 'manager', ARGV[5] == 'lab'
local old = is_manager and outdated(KEYS[5], ARGV[7])
if old then
  return old
end
local resource = redis.call('HMGET', KEYS[4], 'manager', 'health', 'health_reason', 'looks')
if not resource[1] or (is_manager and resource[1] ~= ARGV[6]) then
  return {'NO_SUCH_RESOURCE'}
end
local before, event, looks = resource[2], ARGV[3], tonumber(resource[4])
local is_older = is_manager and tonumber(ARGV[8]) < looks
if is_older and event ~= 'clear' then
  if before ~= 'HEALTHY' then
    return {'SAME'}
  end
  event = 'suspect'
end
local state = step('health', before, event)
if not state then
  return {'WRONG_STATE', before}
end
-- Managers say more of what they suspect as they go on; what is quarantined stays so for the first reason.
local is_more = is_manager and state == 'SUSPECT' and resource[3] ~= ARGV[4]
local is_late = (is_lab or event == 'clear') and tonumber(ARGV[8]) ~= looks
if (state == before and not is_more and ARGV[5] ~= 'operator') or is_late then
  return {'SAME'}
end
local fields = {'health', state, 'health_reason', state == 'HEALTHY' and '' or ARGV[4]}
if is_lab or is_older then
  extend(fields, {'looks', looks + 1})
end
if ARGV[5] == 'operator' then
  extend(fields, {'operator', ARGV[6], 'operated_ms', now})
end
if state == 'HEALTHY' then
  redis.call('HDEL', KEYS[4], 'outcomes')
end
put('resource', ARGV[2], KEYS[4], fields)
return commit('JUDGED', event)

-- One change of the lab: records are written, then one entry is appended to the change log. Every script that
-- changes records has KEYS[1] revision, KEYS[2] log, KEYS[3] deadlines.
--
--@include tables
--@include now
local REVISION, LOG, DEADLINES = KEYS[1], KEYS[2], KEYS[3]
local LOG_LENGTH = 100000
local revision
local written = {}

-- The state that an event leads to, or false: illegal in this state.
local function step(machine, state, event)
  local row = TABLES[machine][state]
  return row and row[event] or false
end

local function next_revision()
  if not revision then
    revision = redis.call('INCR', REVISION)
  end
  return revision
end

-- What a lease has left, in ms.
local function lease_left(allocation_id)
  local deadline = redis.call('ZSCORE', DEADLINES, 'lease:' .. allocation_id)
  return deadline and math.max(0, deadline - now) or 0
end

-- Writes fields, a flat list of names and values, of a record. Numbers are written as text, without an exponent: amounts of
-- memory are larger than what Lua and cjson write whole by themselves.
local function put(kind, id, key, fields)
  fields[#fields + 1] = 'rev'
  fields[#fields + 1] = next_revision()
  for i, value in ipairs(fields) do
    fields[i] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  redis.call('HSET', key, unpack(fields))
  written[#written + 1] = {kind, id, fields}
end

-- Writes the first fields of a new record.
local function create(kind, id, key, index, fields)
  redis.call('SADD', index, id)
  put(kind, id, key, fields)
end

-- Deletes a record.
local function drop(kind, id, key, index)
  next_revision()
  redis.call('DEL', key)
  redis.call('SREM', index, id)
  written[#written + 1] = {kind, id}
end

-- Appends the change to the log. Returns the reply: {word, revision, now, event, changes as JSON}.
local function commit(word, event)
  local changes = cjson.encode(written)
  redis.call('XADD', LOG, 'MAXLEN', '~', LOG_LENGTH, string.format('%.0f-0', next_revision()), 't', now, 'e', event, 'c', changes)
  return {word, revision, now, event, changes}
end

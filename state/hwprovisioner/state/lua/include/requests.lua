-- One allocation for each request id, whatever is asked for with it.
--
--@include change
--@include lists

-- Returns nil, or the reply that says what the request id has made before.
local function known_request(key)
  local known = redis.call('GET', key)
  return known and {'KNOWN', string.match(known, '^(%S+) (%S+)$')} or nil
end

-- Writes the first fields of an allocation, those given and those of the arguments from a place on, and its secrets.
local function create_allocation(id, key, index, request_key, token_sha, digest, fields, first_arg)
  extend(fields, {
    'id', id, 'submit_ms', now, 'request_key', request_key, 'tries', 0, 'pending', 0, 'holds', '', 'excluded', '',
  })
  extend(fields, {unpack(ARGV, first_arg)})
  create('allocation', id, key, index, fields)
  -- Not through put: secrets stay out of the change log.
  redis.call('HSET', key, 'token_sha', token_sha)
  redis.call('SET', request_key, id .. ' ' .. digest)
end

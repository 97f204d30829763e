-- Which allocations have booked which resources. Callers pass the keys of all resources that a booking had or gets, last, and
-- for each four arguments: its name, its fence and its list as planned with, and the list to write.
--
--@include change

-- Returns nil, or the reply that says which resource is not as it was planned with.
local function stale_place(first_key, first_arg)
  for i = 0, #KEYS - first_key do
    local name, fence, seen = unpack(ARGV, first_arg + 4 * i, first_arg + 4 * i + 2)
    local resource = redis.call('HMGET', KEYS[first_key + i], 'fence', 'booked')
    if resource[1] ~= fence or (resource[2] or '') ~= seen then
      return {'STALE', name}
    end
  end
  return nil
end

local function put_places(first_key, first_arg)
  for i = 0, #KEYS - first_key do
    local arg = first_arg + 4 * i
    put('resource', ARGV[arg], KEYS[first_key + i], {'booked', ARGV[arg + 3]})
  end
end

-- Deletes what users used long ago, in steps. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    what each user has used in each hour
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  the first hour to keep, hours since the epoch
-- ARGV[3]  where to go on; 0 begins
-- ARGV[4]  how many fields to look at, about
--
-- Returns  {"PRUNED", where to go on or "0" at the end, how many were deleted}
--
local found = redis.call('HSCAN', KEYS[1], ARGV[3], 'COUNT', ARGV[4])
local gone = 0
for i = 1, #found[2], 2 do
  local field = found[2][i]
  if tonumber(string.match(field, '^%d+')) < tonumber(ARGV[2]) then
    gone = gone + redis.call('HDEL', KEYS[1], field)
  end
end
return {'PRUNED', found[1], gone}

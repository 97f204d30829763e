-- Takes from one direction of a channel what was read, and returns what comes next. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    the channel
-- KEYS[2]  stream  the pieces of this direction that have not been read yet, ids NUMBER-0
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  the number of the last piece that was read
-- ARGV[3]  how many pieces there is room for
-- ARGV[4]  where replicas tell one another (Pub/Sub)
-- ARGV[5]  what the writer's replica is told when there is room again
--
-- Returns  {"PULLED", what and bytes of each piece in order...}
--          {"GONE"}
--
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'GONE'}
end
local was_full = redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3])
local read = redis.call('XTRIM', KEYS[2], 'MINID', (tonumber(ARGV[2]) + 1) .. '-0')
if was_full and read > 0 then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
local reply = {'PULLED'}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  reply[#reply + 1] = entry[2][1]
  reply[#reply + 1] = entry[2][2]
end
return reply

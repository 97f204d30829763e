-- Puts a piece into one direction of a channel, if there is room. Once, however often it is called: pieces are numbered.
-- Whoever reads asks for more until there is none, so it is told only of the first. No change of the lab: nothing is logged.
--
-- KEYS[1]  hash    the channel
-- KEYS[2]  stream  the pieces of this direction that have not been read yet, ids NUMBER-0
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  the end that writes: holder or manager
-- ARGV[3]  the piece's number, from 1
-- ARGV[4]  how many pieces there is room for
-- ARGV[5]  how long it is kept, ms
-- ARGV[6]  where replicas tell one another (Pub/Sub)
-- ARGV[7]  what the reader's replica is told
-- ARGV[8]  what the piece is: opened, data, end, done or failure
-- ARGV[9]  its bytes
--
-- Returns  {"PUSHED"}
--          {"FULL"} | {"GONE"}
--
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'GONE'}
end
local counter = 'sent by ' .. ARGV[2]
local number = tonumber(ARGV[3])
if number <= tonumber(redis.call('HGET', KEYS[1], counter) or '0') then
  return {'PUSHED'}
end
local waiting = redis.call('XLEN', KEYS[2])
if waiting >= tonumber(ARGV[4]) then
  return {'FULL'}
end
redis.call('XADD', KEYS[2], ARGV[3] .. '-0', ARGV[8], ARGV[9])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('HSET', KEYS[1], counter, ARGV[3])
if waiting == 0 then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return {'PUSHED'}

-- A heartbeat replica takes no more beats, and is not missed. The last one keeps its place: nobody takes beats when it has gone,
-- so leases are paused from then on until another signs on, or its time is over.
--
-- KEYS[1]  hash    heartbeat replicas
-- KEYS[2]  string  when they were last looked at, and the steady time then
-- KEYS[3]  string  when leases were last looked after
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the replica
-- ARGV[3]  which process it is
-- ARGV[4]  "told" if it has told holders of a pause since it was last accepted; else ""
--
-- Returns  {"LEFT"}
--          {"LAST"}
--          {"TAKEN"}  another process goes by that id, or it has been given up
--
--@include silence
look_at(KEYS[1], KEYS[2])
local heard, limit, process = beater_of(redis.call('HGET', KEYS[1], ARGV[2]))
if process ~= ARGV[3] then
  return {'TAKEN'}
end
if now - heard > PAUSED_AFTER or ARGV[4] == 'told' then
  pause(KEYS[3])
end
local records = redis.call('HGETALL', KEYS[1])
for i = 1, #records, 2 do
  if records[i] ~= ARGV[2] and now - beater_of(records[i + 1]) <= PAUSED_AFTER then
    redis.call('HDEL', KEYS[1], ARGV[2])
    return {'LEFT'}
  end
end
note_beater(KEYS[1], ARGV[2], now, limit, '-')
return {'LAST'}

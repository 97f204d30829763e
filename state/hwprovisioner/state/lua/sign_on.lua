-- A heartbeat replica says that it is there. It tells holders that leases are paused while it has had no answer for long enough,
-- so that must be true. Therefore what it says counts only if it has had an answer just before: what was on its way for longer,
-- or is heard while its answers get lost, changes nothing. And when leases were paused for it, they are restored.
--
-- KEYS[1]  hash    heartbeat replicas
-- KEYS[2]  string  when they were last looked at, and the steady time then
-- KEYS[3]  string  when leases were last looked after
-- ARGV[1]  now, ms since the epoch; "" reads the server's clock
-- ARGV[2]  id of the replica
-- ARGV[3]  which process it is
-- ARGV[4]  for how long at most leases are paused for it, ms
-- ARGV[5]  the time in the newest answer that it has had; "" if none
-- ARGV[6]  "told" if it has told holders of a pause since it was last accepted; else ""
--
-- Returns  {"ACCEPTED", now}
--          {"AGAIN", now}  its newest answer is too old: it has to say so again
--          {"TAKEN", now}  another process goes by that id
--
--@include silence
local ANSWERED_WITHIN = 1000
look_at(KEYS[1], KEYS[2])
local heard, _, process = beater_of(redis.call('HGET', KEYS[1], ARGV[2]))
local is_silent = heard and now - heard > PAUSED_AFTER
if heard and not is_silent and process ~= ARGV[3] and process ~= '-' then
  return {'TAKEN', now}
end
local answered = tonumber(ARGV[5])
if not answered or answered > now or now - answered > ANSWERED_WITHIN then
  return {'AGAIN', now}
end
if is_silent or ARGV[6] == 'told' then
  pause(KEYS[3])
end
-- Whoever left as the last one kept its place until another came.
local records = redis.call('HGETALL', KEYS[1])
for i = 1, #records, 2 do
  local left, _, whose = beater_of(records[i + 1])
  if whose == '-' then
    redis.call('HDEL', KEYS[1], records[i])
    if now - left > PAUSED_AFTER then
      pause(KEYS[3])
    end
  end
end
note_beater(KEYS[1], ARGV[2], now, tonumber(ARGV[4]), ARGV[3])
return {'ACCEPTED', now}

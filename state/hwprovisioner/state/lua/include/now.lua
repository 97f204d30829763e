-- The time in ms since the epoch: ARGV[1], or where it is "" the server's clock, the only clock of a lab.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

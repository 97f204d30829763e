-- How long the lease of what is kept lasts, and what its end means.

-- When a lease ends that would end at some time: not before it is kept no longer, and once it was released, then.
local function kept_until(ends, keep_ms, released_ms)
  local keep = tonumber(keep_ms or '0')
  return (released_ms or '0') ~= '0' and keep or math.max(ends, keep)
end

-- Why an allocation ends whose lease is over, and the same in words.
local function why_over(released_ms)
  if (released_ms or '0') ~= '0' then
    return 'RELEASED', 'by its holder; it was kept until now'
  end
  return 'EXPIRED', 'no heartbeat came in time'
end

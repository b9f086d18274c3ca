-- How long, in milliseconds, a Redis that was started a moment ago must not give
-- anything away yet: what it gave away before may be lost with its memory, and
-- whoever has it still acts on it for `guard` milliseconds. Its age is known in
-- whole seconds, one of which may not have passed yet.
local function too_young(guard)
  local info = redis.pcall('INFO', 'server')
  local up = type(info) == 'string' and info:match('uptime_in_seconds:(%d+)')
  if not up then return 0 end -- not allowed to ask
  return math.max(0, guard + 1000 - tonumber(up) * 1000)
end

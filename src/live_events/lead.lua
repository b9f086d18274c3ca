-- KEYS: lease, fence. ARGV: who asks, milliseconds of the lease, milliseconds of
-- its use, whether it leads so far (0 or 1). Returns whether it leads, the fence
-- or how many milliseconds to wait, and who leads.
local lease, fence = KEYS[1], KEYS[2]
local who, lease_for = ARGV[1], tonumber(ARGV[2])
local leader = redis.call('GET', lease)
if leader and leader ~= who then
  return { 0, tostring(math.max(redis.call('PTTL', lease), 1)), leader }
end
if not leader then
  local wait = too_young(tonumber(ARGV[3]))
  if wait > 0 then return { 0, tostring(wait), '' } end
end
if leader and ARGV[4] == '1' then
  redis.call('PEXPIRE', lease, lease_for)
else
  -- A number that was never given before, even where the Redis has forgotten the
  -- last one: the time of day is ahead of any count.
  redis.call('DEL', lease) -- frees memory first: then Redis lets a full memory pass
  local time = redis.call('TIME')
  local last = tonumber(redis.call('GET', fence) or 0)
  local next = math.max(last + 1, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', fence, string.format('%.0f', next))
  redis.call('SET', lease, who, 'PX', lease_for)
end
return { 1, redis.call('GET', fence) or '0', who }

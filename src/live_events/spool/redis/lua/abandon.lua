-- ARGV: tokens that nobody works with any more. Their subjects are due at once,
-- and the attempt does not count.
local tokens = {}
for _, token in ipairs(ARGV) do tokens[token] = true end
local all = redis.call('HGETALL', held)
for i = 1, #all, 2 do
  local subject, token = all[i], all[i + 1]:match('^(%S+) ')
  if tokens[token] then
    if redis.call('HINCRBY', attempts, subject, -1) <= 0 then redis.call('HDEL', attempts, subject) end
    unlock(subject, now())
  end
end
return 0

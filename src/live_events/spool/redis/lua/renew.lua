-- ARGV: milliseconds of a lock, then subject and token of each. Returns for each
-- whether it still has the lock. One that has expired and that nobody else took
-- is as good as new.
local reply = {}
redis.call('ZREM', locks, '') -- see take: a full memory must not cost the locks
for i = 2, #ARGV, 2 do
  if taken_until(ARGV[i], ARGV[i + 1]) then
    redis.call('ZADD', locks, now() + tonumber(ARGV[1]), ARGV[i])
    reply[#reply + 1] = 1
  else
    reply[#reply + 1] = 0
  end
end
return reply

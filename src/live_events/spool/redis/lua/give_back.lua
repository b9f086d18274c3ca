-- ARGV: subject, token, what ('done', 'later', 'bury'), milliseconds until it is
-- due again, error. Returns whether the token still had the lock.
local subject, token, what = ARGV[1], ARGV[2], ARGV[3]
local last = taken_until(subject, token)
if not last then return 0 end
redis.call('HDEL', lost, subject)
if what == 'later' then
  unlock(subject, now() + tonumber(ARGV[4]))
  return 1
end
local ids = entries(subject, last)
if what == 'bury' then
  bury(subject, ids, redis.call('HGET', attempts, subject) or 1, ARGV[5])
else
  for _, id in ipairs(ids) do forget(subject, id) end
end
redis.call('HDEL', attempts, subject)
unlock(subject, now())
return 1

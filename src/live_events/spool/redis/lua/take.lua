-- ARGV: token, consumer, milliseconds of the lock, of its use, entries in one
-- read, how often work may be lost, how many entries and bytes are taken at most.
-- Returns 'work', subject, attempt, then id and event of each entry; or 'wait'
-- and for how long (-1: nothing is known to come).
local token, consumer = ARGV[1], ARGV[2]
local lock_for, used_for, read_count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local may_be_lost, most, most_bytes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local wait = too_young(used_for)
if wait > 0 then return { 'wait', tostring(wait) } end

-- First a command that frees memory: Redis lets a script that has written go on
-- when memory is full, and this one works it off.
redis.call('ZREM', due, '')

-- 1. What came in since the last look, some reads of it.
for _ = 1, 20 do
  local read = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', read_count, 'STREAMS', events, '>')
  if type(read) == 'table' and read.err then
    if not read.err:find('NOGROUP') then return read end
    redis.call('XGROUP', 'CREATE', events, GROUP, '0', 'MKSTREAM')
    read = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', read_count, 'STREAMS', events, '>')
  end
  local found = read and read[1] and read[1][2] or {}
  for _, entry in ipairs(found) do note(entry[1], entry[2][2]) end
  if #found < read_count then break end
end

-- 2. Locks that nobody renews any more: whoever had them is gone.
local time = now()
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', locks, '-inf', time, 'LIMIT', 0, 20)) do
  local times = redis.call('HINCRBY', lost, subject, 1)
  if times >= may_be_lost then
    -- It may be the event that kills them.
    local last = (redis.call('HGET', held, subject) or ''):match(' (%S+)$')
    bury(subject, last and entries(subject, last) or {}, redis.call('HGET', attempts, subject) or times,
      'nobody came to an end with it: ' .. times .. ' replicas in a row were gone before')
    redis.call('HDEL', lost, subject)
    redis.call('HDEL', attempts, subject)
    unlock(subject, time)
  else
    -- Each time it waits longer, so that others come before it.
    unlock(subject, time + (times - 1) * lock_for / 4)
  end
end

-- 3. The subject that has been due longest.
for _ = 1, 20 do
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local free = redis.call('ZRANGE', locks, 0, 0, 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > time then
    local next = math.min(tonumber(first[2] or 'inf') or math.huge, tonumber(free[2] or 'inf') or math.huge)
    return { 'wait', next == math.huge and '-1' or string.format('%.0f', math.max(next - time, 1)) }
  end
  local subject = first[1]
  redis.call('ZREM', due, subject)
  local reply, bytes, last = {}, 0, nil
  for _, id in ipairs(entries(subject, nil, most)) do
    local entry = redis.call('XRANGE', events, id, id)[1]
    if not entry then
      forget(subject, id) -- somebody deleted it
    elseif last and bytes + #entry[2][4] > most_bytes then
      break
    else
      reply[#reply + 1], reply[#reply + 2] = id, entry[2][4]
      bytes, last = bytes + #entry[2][4], id
      -- Who has it, for whoever looks with XPENDING.
      redis.call('XCLAIM', events, GROUP, consumer, 0, id, 'JUSTID')
    end
  end
  if last then
    redis.call('ZADD', locks, time + lock_for, subject)
    redis.call('HSET', held, subject, token .. ' ' .. last)
    local attempt = redis.call('HINCRBY', attempts, subject, 1)
    return { 'work', subject, tostring(attempt), unpack(reply) }
  end
end
return { 'wait', '1' }

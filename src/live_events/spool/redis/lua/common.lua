-- What all scripts of the spool share: the names of the keys, and what can be
-- done with a subject. The module's documentation says what is in which key.
local events, waiting, due, locks, held, attempts, lost, dead, bell = unpack(KEYS, 1, 9)
local GROUP = 'workers'

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Identifiers of entries, so that their order is that of bytes, and back.
local function padded(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  return ('0'):rep(20 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
end
local function plain(text)
  local ms, seq = text:match('^0*(%d+)-0*(%d+)$')
  return ms .. '-' .. seq
end

-- The waiting entries of a subject, oldest first, up to `last` where given.
local function entries(subject, last, limit)
  local upper = last and ('[' .. subject .. '\0' .. padded(last)) or ('(' .. subject .. '\1')
  local members = redis.call('ZRANGEBYLEX', waiting, '[' .. subject .. '\0', upper, 'LIMIT', 0, limit or -1)
  local ids = {}
  for i, member in ipairs(members) do ids[i] = plain(member:sub(#subject + 2)) end
  return ids
end

local function forget(subject, id)
  redis.call('XACK', events, GROUP, id)
  redis.call('XDEL', events, id)
  redis.call('ZREM', waiting, subject .. '\0' .. padded(id))
end

local function ring()
  redis.call('XADD', bell, 'MAXLEN', 8, '*', 'rung', '1')
end

-- Gives up the lock. A subject of which something is left is due at `at`: each
-- that has waiting entries is either locked or due, never both, never neither.
local function unlock(subject, at)
  redis.call('ZREM', locks, subject)
  redis.call('HDEL', held, subject)
  if #entries(subject, nil, 1) > 0 then
    redis.call('ZADD', due, at, subject)
    ring()
  else
    redis.call('HDEL', attempts, subject)
  end
end

-- The last entry that was taken with this token, where it still holds the lock.
local function taken_until(subject, token)
  local value = redis.call('HGET', held, subject)
  if value and value:sub(1, #token + 1) == token .. ' ' then return value:sub(#token + 2) end
  return nil
end

-- Moves entries to the dead letters. An entry that somebody deleted is gone.
local function bury(subject, ids, tried, why)
  for _, id in ipairs(ids) do
    local entry = redis.call('XRANGE', events, id, id)[1]
    if entry then
      redis.call('XADD', dead, '*', 'subject', subject, 'event', entry[2][4], 'attempts', tried, 'error', why)
    end
    forget(subject, id)
  end
end

-- An entry that is new here is waiting from now on.
local function note(id, subject)
  redis.call('ZADD', waiting, 0, subject .. '\0' .. padded(id))
  if not redis.call('ZSCORE', locks, subject) and not redis.call('ZSCORE', due, subject) then
    redis.call('ZADD', due, now(), subject)
  end
end

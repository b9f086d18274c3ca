-- ARGV: consumer, milliseconds after which an entry is looked at again, seconds
-- that dead letters are kept, milliseconds after which a consumer is forgotten.
-- Returns how many entries had been forgotten, and how many dead letters expired.
local found, cursor = 0, '0-0'
if redis.call('EXISTS', events) == 1 then
  for _ = 1, 20 do
    local claimed = redis.pcall('XAUTOCLAIM', events, GROUP, ARGV[1], ARGV[2], cursor, 'COUNT', 100)
    if type(claimed) ~= 'table' or claimed.err then break end
    for _, entry in ipairs(claimed[2]) do
      if entry and entry[2] then
        local id, subject = entry[1], entry[2][2]
        local known = redis.call('ZSCORE', waiting, subject .. '\0' .. padded(id))
        if not known or not (redis.call('ZSCORE', locks, subject) or redis.call('ZSCORE', due, subject)) then
          note(id, subject)
          found = found + 1
        end
      end
    end
    cursor = claimed[1]
    if cursor == '0-0' then break end
  end
  local consumers = redis.pcall('XINFO', 'CONSUMERS', events, GROUP)
  for _, fields in ipairs(consumers.err and {} or consumers) do
    local about = {}
    for i = 1, #fields, 2 do about[fields[i]] = fields[i + 1] end
    -- With a consumer Redis forgets what it has in work.
    if about.pending == 0 and about.idle > tonumber(ARGV[4]) then
      redis.call('XGROUP', 'DELCONSUMER', events, GROUP, about.name)
    end
  end
end
if found > 0 then ring() end
local expired = redis.call('XTRIM', dead, 'MINID', string.format('%.0f', now() - tonumber(ARGV[3]) * 1000))
return { found, expired }

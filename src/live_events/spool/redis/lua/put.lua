-- KEYS after the common ones: a mark for each delivery. ARGV: how long marks are
-- kept in seconds; then subject and event, for each delivery.
local stored = 0
for i = 10, #KEYS do
  local subject, event = ARGV[2 * (i - 9)], ARGV[2 * (i - 9) + 1]
  if redis.call('SET', KEYS[i], '1', 'NX', 'EX', ARGV[1]) then
    redis.call('XADD', events, '*', 'subject', subject, 'event', event)
    stored = stored + 1
  end
end
if stored > 0 then ring() end
return stored

-- ARGV: identifiers of dead letters. They wait again, behind what waits already.
local replayed = 0
for _, id in ipairs(ARGV) do
  local entry = redis.call('XRANGE', dead, id, id)[1]
  if entry then
    redis.call('XADD', events, '*', 'subject', entry[2][2], 'event', entry[2][4])
    redis.call('XDEL', dead, id)
    replayed = replayed + 1
  end
end
if replayed > 0 then ring() end
return replayed

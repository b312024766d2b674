-- Brings a committed write into the cache and takes its fence away.
--
--   ARGV[6]   the fence's field
--   ARGV[7]   the replid that begin answered
--   ARGV[8]   the row's epoch after the commit
--   ARGV[9]   1: the commit took that epoch, and the elements are the window of its own transaction; 0: it did not
--   ARGV[10..13]  version, first, count, conversation of the row
--   ARGV[14..]   elements, in order
--   Reply     certified | merged | outdated | gone
--
-- Only a commit that took an epoch may certify, and only if its fence stood all the while on this very server.
touch()
local fence_stood = redis.call('HDEL', entry, ARGV[6]) == 1
if redis.call('HEXISTS', entry, 'gone') == 1 then return 'gone' end

local epoch, known = tonumber(ARGV[8]), tonumber(redis.call('HGET', entry, 'epoch'))
local took_epoch = ARGV[9] == '1'
if known and epoch < known then
  -- A newer epoch may have followed the deletion of a message that these elements still hold.
  learn(tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13])
  return 'outdated'
end

local reply = 'merged'
if took_epoch and fence_stood and ARGV[7] == replid then
  replace(14)
  redis.call('HSET', entry, 'certified', ARGV[2])
  reply = 'certified'
else
  if not known or epoch > known then redis.call('HDEL', entry, 'certified') end
  merge(14)
end
redis.call('HSET', entry, 'epoch', ARGV[8])
learn(tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13])
expire()
return reply

-- Brings a committed write into the cache and takes its fence away.
--
--   ARGV[2]   the fence's field
--   ARGV[3]   the replid that begin answered
--   ARGV[4]   the row's epoch after the commit
--   ARGV[5]   1: the commit took that epoch, and the elements are the window of its own transaction; 0: it did not
--   ARGV[6]   how long a certificate stands, in milliseconds
--   ARGV[7..10]  version, first, count, conversation of the row
--   ARGV[11..]   elements, in order
--   Reply     certified | merged | outdated | gone
--
-- Only a commit that took an epoch may certify, and only if its fence stood all the while on this very server.
touch()
local fence_stood = redis.call('HDEL', entry, ARGV[2]) == 1
if redis.call('HEXISTS', entry, 'gone') == 1 then return 'gone' end

local epoch, known = tonumber(ARGV[4]), tonumber(redis.call('HGET', entry, 'epoch'))
local took_epoch = ARGV[5] == '1'
if known and epoch < known then
  -- A newer epoch may have followed the deletion of a message that these elements still hold.
  learn(tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10])
  return 'outdated'
end

local reply = 'merged'
if took_epoch and fence_stood and ARGV[3] == replid then
  replace(11)
  redis.call('HSET', entry, 'certified', now + ARGV[6])
  reply = 'certified'
else
  if not known or epoch > known then redis.call('HDEL', entry, 'certified') end
  merge(11)
end
redis.call('HSET', entry, 'epoch', ARGV[4])
learn(tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10])
expire()
return reply

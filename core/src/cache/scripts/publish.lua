-- Brings a committed write into the cache and takes its intent away.
--
--   ARGV[6]   the intent's field
--   ARGV[7]   the replid that begin answered
--   ARGV[8]   the row's epoch after the commit
--   ARGV[9]   1: the commit took that epoch, and the elements are the window of its own transaction; 0: it did not
--   ARGV[10..13]  version, first, count, conversation of the row
--   ARGV[14..]   elements, in order
--   Reply     validated | merged | outdated | deleted
--
-- Only a commit that took an epoch may validate, and only if its intent stood all the while on this very server.
touch()
local intent_stood = redis.call('HDEL', entry, ARGV[6]) == 1
if redis.call('HEXISTS', entry, 'tombstone') == 1 then return 'deleted' end

local epoch, known = tonumber(ARGV[8]), tonumber(redis.call('HGET', entry, 'epoch'))
local took_epoch = ARGV[9] == '1'
if known and epoch < known then
  -- A newer epoch may have followed the deletion of a message that these elements still hold.
  learn(tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13])
  return 'outdated'
end

local reply = 'merged'
if took_epoch and intent_stood and ARGV[7] == replid then
  replace(14)
  redis.call('HSET', entry, 'validated_at', ARGV[2])
  reply = 'validated'
else
  if not known or epoch > known then redis.call('HDEL', entry, 'validated_at') end
  merge(14)
end
redis.call('HSET', entry, 'epoch', ARGV[8])
learn(tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13])
expire()
return reply

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
read('replid', 'tombstone', 'epoch', 'version', 'first', 'bytes')
touch(known.replid)
local intent_stood = redis.call('HDEL', entry, ARGV[6]) == 1
if known.tombstone then return 'deleted' end

local epoch, newest = tonumber(ARGV[8]), tonumber(known.epoch)
local took_epoch = ARGV[9] == '1'
if newest and epoch < newest then
  -- A newer epoch may have followed the deletion of a message that these elements still hold.
  learn(tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13])
  save()
  return 'outdated'
end

local reply = 'merged'
if took_epoch and intent_stood and ARGV[7] == replid then
  replace(14)
  set('validated_at', ARGV[2])
  reply = 'validated'
else
  if not newest or epoch > newest then redis.call('HDEL', entry, 'validated_at') end
  merge(14)
end
set('epoch', ARGV[8])
learn(tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13])
save()
expire()
return reply

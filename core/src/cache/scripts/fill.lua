-- Warms the cache with what a reader that holds the lease read from Postgres.
--
--   ARGV[6]   the reader's token
--   ARGV[7]   the row's epoch as read
--   ARGV[8]   1: the read took that epoch; 0: it did not
--   ARGV[9..12]  version, first, count, conversation of the row
--   ARGV[13]  how many intents the lease answered; they come next
--   ARGV[..]  the intents' fields, then the elements, in order
--   Reply     validated | merged | outdated | deleted
--
-- Whoever took the epoch read all that was committed under older ones, so the intents it saw before have no more to say.
-- A lease does not outlast its server: to hold it still is to be on the same one.
read('replid', 'tombstone', 'epoch', 'version', 'first', 'bytes', 'lease')
touch(known.replid)
if known.tombstone then return 'deleted' end

local intents = tonumber(ARGV[13])
local elements = 14 + intents
local leased = known.replid == replid and known.lease == ARGV[6]
if leased then redis.call('HDEL', entry, 'lease', 'leased') end

local epoch, newest = tonumber(ARGV[7]), tonumber(known.epoch)
if newest and epoch < newest then return 'outdated' end

local reply = 'merged'
if ARGV[8] == '1' and leased then
  replace(elements)
  if intents > 0 then redis.call('HDEL', entry, unpack(ARGV, 14, 13 + intents)) end
  set('validated_at', ARGV[2])
  reply = 'validated'
else
  if not newest or epoch > newest then redis.call('HDEL', entry, 'validated_at') end
  merge(elements)
end
set('epoch', ARGV[7])
learn(tonumber(ARGV[9]), ARGV[10], ARGV[11], ARGV[12], leased)
save()
expire()
return reply

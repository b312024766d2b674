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
touch()
if redis.call('HEXISTS', entry, 'tombstone') == 1 then return 'deleted' end

local intents = tonumber(ARGV[13])
local elements = 14 + intents
local leased = redis.call('HGET', entry, 'lease') == ARGV[6]
if leased then redis.call('HDEL', entry, 'lease', 'leased') end

local epoch, known = tonumber(ARGV[7]), tonumber(redis.call('HGET', entry, 'epoch'))
if known and epoch < known then return 'outdated' end

local reply = 'merged'
if ARGV[8] == '1' and leased then
  replace(elements)
  for i = 14, 13 + intents do redis.call('HDEL', entry, ARGV[i]) end
  redis.call('HSET', entry, 'validated_at', ARGV[2])
  reply = 'validated'
else
  if not known or epoch > known then redis.call('HDEL', entry, 'validated_at') end
  merge(elements)
end
redis.call('HSET', entry, 'epoch', ARGV[7])
learn(tonumber(ARGV[9]), ARGV[10], ARGV[11], ARGV[12], leased)
expire()
return reply

-- Warms the cache with what a reader that holds the lease read from Postgres.
--
--   ARGV[2]   the reader's token
--   ARGV[3]   the replid that the lease answered
--   ARGV[4]   the row's epoch as read
--   ARGV[5]   1: the read took that epoch; 0: it did not
--   ARGV[6]   how long a certificate stands, in milliseconds
--   ARGV[7..10]  version, first, count, conversation of the row
--   ARGV[11]  how many fences the lease answered; they come next
--   ARGV[..]  the fences' fields, then the elements, in order
--   Reply     certified | merged | outdated | gone
--
-- Whoever took the epoch read all that was committed under older ones, so the fences it saw before have no more to say.
touch()
if redis.call('HEXISTS', entry, 'gone') == 1 then return 'gone' end

local fences = tonumber(ARGV[11])
local elements = 12 + fences
local leased = redis.call('HGET', entry, 'lease') == ARGV[2]
if leased then redis.call('HDEL', entry, 'lease', 'leased') end

local epoch, known = tonumber(ARGV[4]), tonumber(redis.call('HGET', entry, 'epoch'))
if known and epoch < known then return 'outdated' end

local reply = 'merged'
if ARGV[5] == '1' and leased and ARGV[3] == replid then
  replace(elements)
  for i = 12, 11 + fences do redis.call('HDEL', entry, ARGV[i]) end
  redis.call('HSET', entry, 'certified', now + ARGV[6])
  reply = 'certified'
else
  if not known or epoch > known then redis.call('HDEL', entry, 'certified') end
  merge(elements)
end
redis.call('HSET', entry, 'epoch', ARGV[4])
learn(tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10])
expire()
return reply

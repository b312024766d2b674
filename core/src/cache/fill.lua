-- Warms the cache with what a reader that holds the lease read from Postgres.
--
--   ARGV[2]   the reader's token
--   ARGV[3]   the row's epoch as read
--   ARGV[4]   1: the read took that epoch; 0: it did not
--   ARGV[5]   how long a certificate stands, in milliseconds
--   ARGV[6..9]  version, first, count, conversation of the row
--   ARGV[10]  how many fences the lease answered; they come next
--   ARGV[..]  the fences' fields, then the elements, in order
--   Reply     certified | merged | outdated | gone
--
-- Whoever took the epoch read all that was committed under older ones, so the fences it saw before have no more to say.
-- A lease does not outlast its server: to hold it still is to be on the same one.
touch()
if redis.call('HEXISTS', entry, 'gone') == 1 then return 'gone' end

local fences = tonumber(ARGV[10])
local elements = 11 + fences
local leased = redis.call('HGET', entry, 'lease') == ARGV[2]
if leased then redis.call('HDEL', entry, 'lease', 'leased') end

local epoch, known = tonumber(ARGV[3]), tonumber(redis.call('HGET', entry, 'epoch'))
if known and epoch < known then return 'outdated' end

local reply = 'merged'
if ARGV[4] == '1' and leased then
  replace(elements)
  for i = 11, 10 + fences do redis.call('HDEL', entry, ARGV[i]) end
  redis.call('HSET', entry, 'certified', now + ARGV[5])
  reply = 'certified'
else
  if not known or epoch > known then redis.call('HDEL', entry, 'certified') end
  merge(elements)
end
redis.call('HSET', entry, 'epoch', ARGV[3])
learn(tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9])
expire()
return reply

-- Marks a conversation deleted: the mark answers readers, and nothing that is still in flight brings anything back.
--
--   ARGV[6]  the version at which it was deleted
--   Reply    1
--
-- Nothing else is left but numbers: intents, too, go, since whatever is in flight has nothing more to say.
local kept = { 'epoch', 'version', 'first', 'count' }
local values = redis.call('HMGET', entry, unpack(kept))
local fields = { 'replid', replid, 'tombstone', ARGV[6] }
for i, field in ipairs(kept) do
  if values[i] then
    fields[#fields + 1] = field
    fields[#fields + 1] = values[i]
  end
end
-- First what a full server refuses: once a script has removed something, it may add whatever it likes.
redis.call('HSET', entry, 'tombstone', ARGV[6])
redis.call('DEL', entry, window)
redis.call('HSET', entry, unpack(fields))
redis.call('PEXPIRE', entry, ARGV[1])
return 1

-- Takes away the intent of a write that was certainly not committed, and the entry with it if begin had to make it.
--
--   ARGV[6]  the intent's field
--   Reply    1
redis.call('HDEL', entry, ARGV[6])
local left = redis.call('HGETALL', entry)
if #left == 2 and left[1] == 'replid' then redis.call('DEL', entry) end
return 1

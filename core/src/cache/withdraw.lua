-- Takes away the fence of a write that was certainly not committed, and the entry with it if begin had to make it.
--
--   ARGV[2]  the fence's field
--   Reply    1
redis.call('HDEL', entry, ARGV[2])
if redis.call('HLEN', entry) == 1 and redis.call('HEXISTS', entry, 'replid') == 1 then redis.call('DEL', entry) end
return 1

-- Drops an entry that is ahead of Postgres, as after a restore from backup; on condition that it is still the one seen.
--
--   ARGV[6]  the epoch seen, or ''
--   Reply    1 dropped, 0 not
if (redis.call('HGET', entry, 'epoch') or '') ~= ARGV[6] then return 0 end
redis.call('DEL', entry, window)
return 1

-- Sets a write's intent, before it commits: until the write is published, or found dead, readers go to Postgres.
--
--   ARGV[6]    the intent's field: intent:<operation>:<attempt>
--   ARGV[7]    the epoch that Postgres answered when it refused the last attempt, or ''
--   ARGV[8..]  intents of attempts that are over
--   Reply      {epoch or '', valid 0|1, window complete 0|1, replid}
--
-- Example: a first add finds nothing: {'', 0, 0, '8f3c...'}.
touch()
local epoch = tonumber(redis.call('HGET', entry, 'epoch'))
local hint = tonumber(ARGV[7])
if hint and (not epoch or epoch < hint) then
  epoch = hint
  redis.call('HSET', entry, 'epoch', epoch)
  redis.call('HDEL', entry, 'validated_at')
end
for i = 8, #ARGV do redis.call('HDEL', entry, ARGV[i]) end
redis.call('HSET', entry, ARGV[6], ARGV[2])
redis.call('PEXPIRE', entry, ARGV[1])
return {epoch and tostring(epoch) or '', is_valid() and 1 or 0, complete() and 1 or 0, replid}

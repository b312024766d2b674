-- Sets a write's intent, before it commits: until the write is published, or found dead, readers go to Postgres.
--
--   ARGV[6]    the intent's field: intent:<operation>:<attempt>
--   ARGV[7]    the epoch that Postgres answered when it refused the last attempt, or ''
--   ARGV[8..]  intents of attempts that are over
--   Reply      {epoch or '', valid 0|1, window complete 0|1, replid}
--
-- Example: a first add finds nothing: {'', 0, 0, '8f3c...'}.
local held, epoch, validated_at, count = unpack(redis.call('HMGET', entry, 'replid', 'epoch', 'validated_at', 'count'))
local hint = tonumber(ARGV[7])
local is_behind = hint and (not epoch or tonumber(epoch) < hint)

-- First what a full server refuses: once a script has removed something, it may add whatever it likes.
local changes = { ARGV[6], ARGV[2] }
if held ~= replid then
  changes[3], changes[4] = 'replid', replid
end
if is_behind then
  epoch = ARGV[7]
  changes[#changes + 1] = 'epoch'
  changes[#changes + 1] = epoch
end
redis.call('HSET', entry, unpack(changes))

-- As touch does: a validity marker of another server's, or of an older epoch, says nothing.
if held ~= replid then redis.call('HDEL', entry, 'lease', 'leased') end
if held ~= replid or is_behind then
  validated_at = false
  redis.call('HDEL', entry, 'validated_at')
end
if ARGV[8] then redis.call('HDEL', entry, unpack(ARGV, 8)) end
redis.call('PEXPIRE', entry, ARGV[1])

-- The window is whole when it holds as many messages as it must: what is in it is never else than live messages from
-- `first` on, so that a hole would show in its length.
local is_complete = count and redis.call('LLEN', window) == math.min(tonumber(count), CAPACITY)
return { epoch or '', is_valid(validated_at) and 1 or 0, is_complete and 1 or 0, replid }

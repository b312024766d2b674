-- Stands before every script of the protocol. What all of them share:
--
--   KEYS[1]  the entry (hash)       KEYS[2]  the window (list of "<seq> <json>", oldest first)
--   ARGV[1]  how long the entry lives from now, in milliseconds
--   ARGV[2]  the caller's clock, Unix milliseconds
--   ARGV[3]  how long a validity marker stands on a server that says who it is, in milliseconds
--   ARGV[4]  how long it stands on one that does not
--   ARGV[5]  1: ask the server who it is; 0: it is known not to say
--   Reply    an error READONLY when the server is a replica
--
-- Fields of the entry:
--   replid         replication id of the server that holds the entry, or `hidden`
--   epoch          the highest epoch known
--   validated_at   when the entry was validated (Unix ms); absent: there is none
--   version, first, count, conversation
--                  the conversation's row at the highest version known: `first` is where its window begins, `count` the
--                  number of messages in all, `conversation` the JSON that is answered
--   bytes          how long the elements of the window are together
--   tombstone      the version at which the conversation was deleted; nothing else counts any more
--   lease, leased  who is filling the entry, and since when (Unix ms)
--   intent:*        one for each write in flight: since when (Unix ms)
--
-- Managed servers refuse many commands in scripts, TIME among them, so the clock is the caller's. Clocks differ and jump,
-- so it decides only how long to wait for somebody and when to check a validity marker again. INFO is asked for, and may be
-- refused.
local entry, window = KEYS[1], KEYS[2]
local now = tonumber(ARGV[2])
-- How many messages a window holds.
local CAPACITY = 100

-- Returns the server's replication id: `hidden` for all time where the server does not say; nil on a replica.
local function identity()
  if ARGV[5] == '0' then return 'hidden' end
  local replication = redis.pcall('INFO', 'replication')
  if type(replication) ~= 'string' then return 'hidden' end
  if string.find(replication, 'role:slave', 1, true) then return nil end
  -- A pattern is tried at each place of a text; a plain one is found faster.
  local _, before = string.find(replication, 'master_replid:', 1, true)
  return before and string.match(replication, '^%x+', before + 1) or 'hidden'
end
local replid = identity()
if not replid then return redis.error_reply('READONLY this server is a replica') end

-- Facts outlive a failover, the claim that they are all of them does not. `held` is the entry's replid.
local function touch(held)
  if held == replid then return end
  -- First what a full server refuses: once a script has removed something, it may add whatever it likes.
  redis.call('HSET', entry, 'replid', replid)
  redis.call('HDEL', entry, 'validated_at', 'lease', 'leased')
  if not held then redis.call('PEXPIRE', entry, ARGV[1]) end
end

-- Ages are absolute differences: a clock that jumped must not keep anything for ever.
local function age(since) return math.abs(now - tonumber(since)) end

-- Whether a validity marker is in date.
local function is_valid(validated_at)
  return validated_at and age(validated_at) <= tonumber(replid == 'hidden' and ARGV[4] or ARGV[3])
end

-- Stands before every script of the protocol. What all of them share:
--
--   KEYS[1]  the entry (hash)       KEYS[2]  the window (list of "<seq> <json>", oldest first)
--   ARGV[1]  how long the entry lives from now, in milliseconds
--   Reply    an error READONLY when the server is a replica
--
-- Fields of the entry:
--   replid         replication id of the server that holds the entry
--   epoch          the highest epoch known
--   certified      when to check the certificate again (Unix ms); absent: there is none
--   version, first, count, conversation
--                  the conversation's row at the highest version known: `first` is where its window begins, `count` the
--                  number of messages in all, `conversation` the JSON that is answered
--   gone           the version at which the conversation was deleted; nothing else counts any more
--   lease, leased  who is filling the entry, and since when (Unix ms)
--   fence:*        one for each write in flight: since when (Unix ms)
--
-- The clock is the server's own, and serves only to give up waiting.
local entry, window = KEYS[1], KEYS[2]
local CAPACITY = 100

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local replication = redis.call('INFO', 'replication')
if string.find(replication, 'role:slave', 1, true) then
  return redis.error_reply('READONLY this server is a replica')
end
-- A server that hides the field gets one name for all time: then failovers go unnoticed until the certificate's end.
local replid = string.match(replication, 'master_replid:(%x+)') or 'hidden'

-- Facts outlive a failover, the claim that they are all of them does not.
local function touch()
  local held = redis.call('HGET', entry, 'replid')
  if held == replid then return end
  -- First what a full server refuses: once a script has removed something, it may add whatever it likes.
  redis.call('HSET', entry, 'replid', replid)
  redis.call('HDEL', entry, 'certified', 'lease', 'leased')
  if not held then redis.call('PEXPIRE', entry, ARGV[1]) end
end

local function seq_of(element) return tonumber(string.match(element, '^%d+')) end

-- The window is whole when it holds as many messages as it must: what is in it is never else than live messages from
-- `first` on, so that a hole would show in its length.
local function complete()
  local count = tonumber(redis.call('HGET', entry, 'count'))
  return count ~= nil and redis.call('LLEN', window) == math.min(count, CAPACITY)
end

-- Certificate in date?
local function certified()
  local check_by = tonumber(redis.call('HGET', entry, 'certified'))
  return check_by ~= nil and check_by >= now
end

local function expire()
  redis.call('PEXPIRE', entry, ARGV[1])
  redis.call('PEXPIRE', window, ARGV[1])
end

-- Adds elements to the window, each in its place and once; ARGV from `from` on. A batch of which a part was stored
-- before comes in the batch's order.
local function merge(from)
  if from > #ARGV then return end
  local tail = redis.call('LINDEX', window, -1)
  local last, ascending = tail and seq_of(tail) or 0, true
  for i = from, #ARGV do
    local seq = seq_of(ARGV[i])
    ascending = ascending and seq > last
    last = seq
  end
  if ascending then
    for i = from, #ARGV do redis.call('RPUSH', window, ARGV[i]) end
    return
  end
  local by_seq, seqs = {}, {}
  local function take(element)
    local seq = seq_of(element)
    if not by_seq[seq] then seqs[#seqs + 1] = seq end
    by_seq[seq] = element
  end
  for _, element in ipairs(redis.call('LRANGE', window, 0, -1)) do take(element) end
  for i = from, #ARGV do take(ARGV[i]) end
  table.sort(seqs)
  redis.call('DEL', window)
  for _, seq in ipairs(seqs) do redis.call('RPUSH', window, by_seq[seq]) end
end

-- Makes the window what was read. Whatever is later was committed under a later epoch, which this call would not know.
local function replace(from)
  redis.call('DEL', window)
  for i = from, #ARGV do redis.call('RPUSH', window, ARGV[i]) end
end

-- Takes over the row's facts if they are newer than those known, then drops what lies before the window.
local function learn(version, first, count, conversation)
  local known = tonumber(redis.call('HGET', entry, 'version'))
  if not known or version > known then
    redis.call('HSET', entry, 'version', version, 'first', first, 'count', count, 'conversation', conversation)
  end
  local oldest = tonumber(redis.call('HGET', entry, 'first'))
  local head = redis.call('LINDEX', window, 0)
  while head and seq_of(head) < oldest do
    redis.call('LPOP', window)
    head = redis.call('LINDEX', window, 0)
  end
end

-- Marks the conversation deleted, for good. Whatever is in flight has nothing more to say.
local function bury(version)
  for _, field in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(field, 1, 6) == 'fence:' then redis.call('HDEL', entry, field) end
  end
  redis.call('HSET', entry, 'gone', version)
  redis.call('HDEL', entry, 'certified', 'conversation', 'lease', 'leased')
  redis.call('DEL', window)
  redis.call('PEXPIRE', entry, ARGV[1])
end

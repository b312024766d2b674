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
local CAPACITY = 100
-- How long all elements may be together. Beyond, the oldest keep their place in the window without their JSON.
local CAPACITY_BYTES = 524288

-- Returns the server's replication id: `hidden` for all time where the server does not say; nil on a replica.
local function identity()
  if ARGV[5] == '0' then return 'hidden' end
  local replication = redis.pcall('INFO', 'replication')
  if type(replication) ~= 'string' then return 'hidden' end
  if string.find(replication, 'role:slave', 1, true) then return nil end
  return string.match(replication, 'master_replid:(%x+)') or 'hidden'
end
local replid = identity()
if not replid then return redis.error_reply('READONLY this server is a replica') end

-- Facts outlive a failover, the claim that they are all of them does not.
local function touch()
  local held = redis.call('HGET', entry, 'replid')
  if held == replid then return end
  -- First what a full server refuses: once a script has removed something, it may add whatever it likes.
  redis.call('HSET', entry, 'replid', replid)
  redis.call('HDEL', entry, 'validated_at', 'lease', 'leased')
  if not held then redis.call('PEXPIRE', entry, ARGV[1]) end
end

local function seq_of(element) return tonumber(string.match(element, '^%d+')) end

-- An element whose JSON did not fit is its position alone.
local function is_bare(element) return not string.find(element, ' ', 1, true) end

-- The window is whole when it holds as many messages as it must: what is in it is never else than live messages from
-- `first` on, so that a hole would show in its length.
local function complete()
  local count = tonumber(redis.call('HGET', entry, 'count'))
  return count ~= nil and redis.call('LLEN', window) == math.min(count, CAPACITY)
end

-- Ages are absolute differences: a clock that jumped must not keep anything for ever.
local function age(since) return math.abs(now - tonumber(since)) end

-- Validity in date?
local function is_valid()
  local made = redis.call('HGET', entry, 'validated_at')
  return made and age(made) <= tonumber(replid == 'hidden' and ARGV[4] or ARGV[3])
end

local function expire()
  redis.call('PEXPIRE', entry, ARGV[1])
  redis.call('PEXPIRE', window, ARGV[1])
end

-- Appends elements to the window; how long they are together.
local function append(elements, from)
  local bytes = 0
  for i = from, #elements do
    redis.call('RPUSH', window, elements[i])
    bytes = bytes + #elements[i]
  end
  return bytes
end

-- Notes how long the window's elements are, after the JSON of the oldest was dropped until they fit.
local function bound(bytes)
  local length = bytes > CAPACITY_BYTES and redis.call('LLEN', window) or 0
  for i = 0, length - 1 do
    local element = redis.call('LINDEX', window, i)
    if not is_bare(element) then
      local bare = string.match(element, '^%d+')
      redis.call('LSET', window, i, bare)
      bytes = bytes - #element + #bare
      if bytes <= CAPACITY_BYTES then break end
    end
  end
  redis.call('HSET', entry, 'bytes', bytes)
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
  -- An entry that was evicted by itself has forgotten how long its window is.
  local held = tail and redis.call('HGET', entry, 'bytes') or (not tail and '0')
  if ascending and held then return bound(tonumber(held) + append(ARGV, from)) end
  local by_seq, seqs = {}, {}
  local function take(element)
    local seq = seq_of(element)
    local held = by_seq[seq]
    if not held then seqs[#seqs + 1] = seq end
    if not held or not is_bare(element) then by_seq[seq] = element end
  end
  for _, element in ipairs(redis.call('LRANGE', window, 0, -1)) do take(element) end
  for i = from, #ARGV do take(ARGV[i]) end
  table.sort(seqs)
  local elements = {}
  for i, seq in ipairs(seqs) do elements[i] = by_seq[seq] end
  redis.call('DEL', window)
  bound(append(elements, 1))
end

-- Makes the window what was read. Whatever is later was committed under a later epoch, which this call would not know.
local function replace(from)
  redis.call('DEL', window)
  bound(append(ARGV, from))
end

-- Takes over the row's facts if they are newer than those known, then drops what lies before the window. Those of the version that is
-- known are taken over as well if `again`: when a conversation expires may have changed without it.
local function learn(version, first, count, conversation, again)
  local known = tonumber(redis.call('HGET', entry, 'version'))
  if not known or version > known or (again and version == known) then
    redis.call('HSET', entry, 'version', version, 'first', first, 'count', count, 'conversation', conversation)
  end
  local oldest = tonumber(redis.call('HGET', entry, 'first'))
  local head, dropped = redis.call('LINDEX', window, 0), 0
  while head and seq_of(head) < oldest do
    redis.call('LPOP', window)
    dropped = dropped + #head
    head = redis.call('LINDEX', window, 0)
  end
  if dropped > 0 then
    local bytes = tonumber(redis.call('HGET', entry, 'bytes') or 0)
    redis.call('HSET', entry, 'bytes', math.max(bytes - dropped, 0))
  end
end

-- Marks the conversation deleted, for good. Whatever is in flight has nothing more to say.
local function write_tombstone(version)
  for _, field in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(field, 1, 7) == 'intent:' then redis.call('HDEL', entry, field) end
  end
  redis.call('HSET', entry, 'tombstone', version)
  redis.call('HDEL', entry, 'validated_at', 'conversation', 'bytes', 'lease', 'leased')
  redis.call('DEL', window)
  redis.call('PEXPIRE', entry, ARGV[1])
end

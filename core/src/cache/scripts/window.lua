-- Stands between the prelude and the scripts that bring messages into the window.

-- How long all elements may be together. Beyond, the oldest keep their place in the window without their JSON.
local CAPACITY_BYTES = 524288

-- The entry's fields as they are to be, and those of them that are to be written: fields and values, in turn.
local known, changes = {}, {}

-- Reads the fields that the script goes by: a call of a command costs a script more than the command itself.
local function read(...)
  for i, value in ipairs(redis.call('HMGET', entry, ...)) do known[select(i, ...)] = value end
end

local function set(field, value)
  known[field] = value
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

-- Writes what has changed.
local function save()
  if #changes > 0 then redis.call('HSET', entry, unpack(changes)) end
end

local function expire()
  redis.call('PEXPIRE', entry, ARGV[1])
  redis.call('PEXPIRE', window, ARGV[1])
end

local function seq_of(element) return tonumber(string.match(element, '^%d+')) end

-- An element whose JSON did not fit is its position alone.
local function is_bare(element) return not string.find(element, ' ', 1, true) end

-- Appends elements to the window; how long they are together.
local function append(elements, from)
  if from > #elements then return 0 end
  redis.call('RPUSH', window, unpack(elements, from))
  local bytes = 0
  for i = from, #elements do bytes = bytes + #elements[i] end
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
  set('bytes', bytes)
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
  local held = tail and known.bytes or (not tail and '0')
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
  local held = tonumber(known.version)
  if not held or version > held or (again and version == held) then
    set('version', version)
    set('first', first)
    set('count', count)
    set('conversation', conversation)
  end
  local oldest = tonumber(known.first)
  local head, dropped = redis.call('LINDEX', window, 0), 0
  while head and seq_of(head) < oldest do
    redis.call('LPOP', window)
    dropped = dropped + #head
    head = redis.call('LINDEX', window, 0)
  end
  if dropped > 0 then set('bytes', math.max((tonumber(known.bytes) or 0) - dropped, 0)) end
end

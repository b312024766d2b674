-- Asks for the right to fill the entry, so that of many readers that miss one reads the window.
--
--   ARGV[1]  how long the entry lives if it has to be made: seconds, for there may be no such conversation
--   ARGV[6]  the reader's token
--   ARGV[7]  the age in milliseconds from which an intent or a lease is taken for dead
--   ARGV[8]  the validity marker that the reader saw, or ''
--   Reply    {granted 0|1, epoch or '', version or '', valid 0|1, dead intents, live intents,
--             {the fields of intents, 1,000 at most}}
--
-- Refused behind live intents alone, whose writes will publish, behind a live lease, and where somebody validated the entry
-- since the reader looked: then there is nothing to fill, but to look again. Intents beyond the thousandth stay for the
-- next reader: fill takes them back as arguments, of which a managed server allows 3,999.
local fields = redis.call('HGETALL', entry)
local value, intents, dead, live = {}, {}, 0, 0
for i = 1, #fields, 2 do
  value[fields[i]] = fields[i + 1]
  if string.sub(fields[i], 1, 7) == 'intent:' then
    if #intents < 1000 then intents[#intents + 1] = fields[i] end
    if age(fields[i + 1]) > tonumber(ARGV[7]) then dead = dead + 1 else live = live + 1 end
  end
end

-- An entry that was there lives as long as it did, also where nobody asked yet who the server is.
touch(value.replid or #fields > 0 and '')
if value.replid ~= replid then value.validated_at, value.lease = nil, nil end

local granted = 0
local leased = value.lease and age(value.leased) <= tonumber(ARGV[7])
local is_current = is_valid(value.validated_at)
local filled = is_current and live == 0 and dead == 0 and value.validated_at ~= ARGV[8]
if not leased and not filled and (live == 0 or dead > 0) then
  redis.call('HSET', entry, 'lease', ARGV[6], 'leased', ARGV[2])
  granted = 1
end
return {granted, value.epoch or '', value.version or '', is_current and 1 or 0, dead, live, intents}

-- orphan: what is odd about a key, and, if asked, a time to live for one that has none.
--
-- KEYS  1  any of ours: {prefix}:{tag}:...
--       2  the index of its tag: {prefix}:{tag}:user
-- ARGV  1  how many bytes a session may hold
--       2  look | fix
--
-- Returns  no-ttl | fixed    it has no time to live; it had none, and has one now
--          not-indexed       a user's session that is not in the index: it is over
--          hashtable         a hash in the bigger encoding
--          oversize          a session that holds more than it may
--          ..., or nothing
--
-- One step; at most 7 commands. Reads a session whole.

local key, odd = KEYS[1], {}
local kind = redis.call('TYPE', key).ok
local life
if kind == 'hash' then
  local bytes, user = 0, false
  local kept = redis.call('HGETALL', key)
  for i = 1, #kept, 2 do
    if kept[i] == '~' then life = kept[i + 1] end
    if kept[i] == '~user' then user = true end
    if string.sub(kept[i], 1, 1) ~= '~' then bytes = bytes + #kept[i] + #kept[i + 1] end
  end
  if user and type(redis.pcall('ZSCORE', KEYS[2], id_of(key))) ~= 'string' then
    odd[#odd + 1] = 'not-indexed'
  end
  if redis.call('OBJECT', 'ENCODING', key) == 'hashtable' then odd[#odd + 1] = 'hashtable' end
  if bytes > tonumber(ARGV[1]) then odd[#odd + 1] = 'oversize' end
end
if kind == 'none' or redis.call('PTTL', key) ~= -1 then return odd end
if ARGV[2] ~= 'fix' then
  odd[#odd + 1] = 'no-ttl'
  return odd
end

-- As long as it can be of any use, so that nothing ends early: a session to its deadline, an index
-- to the end of its last session, a note that a session was restored as long as anything can live;
-- what is none of these two minutes, as a marker has.
local longest = now + 400 * 24 * 3600 * 1000
local at
if kind == 'hash' and life then
  local created, absolute = string.match(life, '^%d+ (%d+) (%d+) ')
  if created then at = tonumber(created) + tonumber(absolute) end
elseif kind == 'zset' then
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  at = tonumber(last[2])
elseif string.find(key, '}:restored:', 1, true) then
  at = longest
end
at = math.max(now + 120000, math.min(at or 0, longest))
redis.call('PEXPIREAT', key, ms(at))
odd[#odd + 1] = 'fixed'
return odd

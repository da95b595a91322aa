-- end_of: ends sessions of a user, however many, by taking them out of the index. Works on a full
-- server.
--
-- KEYS  1  the index: {prefix}:{tag}:user
--       2  what left it all at once: {prefix}:{tag}:ended
--       then, if a session asks for it: that session
--       then, for one and all-but: the session that is meant
-- ARGV  which: one, all, all-but
--       asked: by-session, by-nobody
--
-- Returns  done COUNT            so many were in the index and had life left
--          unknown | ended | newer | damaged WHAT     of the session that asks: nothing was ended
--
-- One step; some 8 commands, for one session and for a million. Their hashes stay, dead, until
-- `tidy` has removed them or they expire.

local index, left, which = KEYS[1], KEYS[2], argument()
if argument() == 'by-session' then
  local asker, why, what = find(KEYS[3], index, math.huge)
  if not asker then return { why, what } end
end
local meant = KEYS[#KEYS]
if which == 'one' then
  return { 'done', end_one(meant, index) == 'now' and '1' or '0' }
end

local kind = redis.call('TYPE', index).ok
if kind ~= 'zset' then
  if kind ~= 'none' then redis.call('UNLINK', index) end -- nothing that we wrote
  return { 'done', '0' }
end
local count = redis.call('ZCOUNT', index, '(' .. ms(now), '+inf')
local kept = which == 'all-but' and redis.call('ZSCORE', index, id_of(meant))
if kept and tonumber(kept) <= now then kept = nil end
if redis.call('TYPE', left).ok ~= 'zset' then redis.call('UNLINK', left) end
if redis.call('EXISTS', left) == 1 then
  -- Somebody's tidying is under way, or died. The first of these is never refused, and so allows the
  -- second on a full server.
  redis.call('ZREMRANGEBYSCORE', left, '-inf', ms(now))
  redis.call('ZUNIONSTORE', left, 2, left, index, 'AGGREGATE', 'MAX')
  seldom.expire_with_last(left)
  if kept then
    -- Emptied around who is kept: in a slot on its way a key that is gone can't be made again.
    local place = redis.call('ZRANK', index, id_of(meant))
    redis.call('ZREMRANGEBYRANK', index, place + 1, -1)
    if place > 0 then redis.call('ZREMRANGEBYRANK', index, 0, place - 1) end
  else
    redis.call('UNLINK', index)
  end
else
  redis.call('RENAME', index, left)
end
if kept then
  count = count - 1
  redis.call('ZREM', left, id_of(meant))
  seldom.enter_index(index, id_of(meant), tonumber(kept))
end
return { 'done', tostring(count) }

-- tidy: removes what sessions held that were ended all at once, and leaves markers.
--
-- KEYS  1  the index: {prefix}:{tag}:user
--       2  what left it: {prefix}:{tag}:ended
--       then the sessions, 500 at most: {prefix}:{tag}:session:{id}
--
-- Returns  how many hashes were removed
--
-- One step; 2 commands a session, or 3 while the index is there, and some 4 more.

local indexed = redis.call('EXISTS', KEYS[1]) == 1
local ids, removed = {}, 0
for at = 3, #KEYS do
  local key = KEYS[at]
  local id = id_of(key)
  ids[#ids + 1] = id
  -- No id comes back into the index; were it there all the same, it is not ours to remove.
  local back = indexed and redis.call('ZSCORE', KEYS[1], id)
  if not back and redis.call('TYPE', key).ok == 'hash' then
    if removed == 0 then
      leave_marker(key)
    else
      -- The same. What a full server lets the first one do, it lets the script do.
      redis.call('SET', key, 'ended', 'PX', '120000')
    end
    removed = removed + 1
  end
end
if #ids > 0 then in_pieces('ZREM', KEYS[2], ids) end
return tostring(removed)

-- tidy: removes what sessions held that were ended all at once, and leaves markers.
--
-- KEYS  1  the index: {prefix}:{tag}:user
--       2  what left it: {prefix}:{tag}:ended
--       then the sessions, 500 at most: {prefix}:{tag}:session:{id}
--
-- Returns  how many hashes were removed
--
-- One step, about 5 commands a session.

local removed = 0
for at = 3, #KEYS do
  local key = KEYS[at]
  -- No id comes back into the index; were it there all the same, it is not ours to remove.
  if not redis.call('ZSCORE', KEYS[1], id_of(key)) then
    if redis.call('TYPE', key).ok == 'hash' then
      leave_marker(key)
      removed = removed + 1
    end
  end
  redis.call('ZREM', KEYS[2], id_of(key))
end
return tostring(removed)

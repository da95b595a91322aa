-- end: ends a session, for good. Works on a full server, and again and again.
--
-- KEYS  1  the session: {prefix}:{tag}:session:{id}
--       2  for a token of a user: the index, {prefix}:{tag}:user
--
-- Returns  now      it was alive
--          before   it had been ended
--          unknown  there is no such session
--
-- One step; 5 commands (7 with a user).

local session, why, what = find(KEYS[1], KEYS[2], math.huge)
-- Out of the index in any case: the index is the authority.
if KEYS[2] then redis.pcall('ZREM', KEYS[2], id_of(KEYS[1])) end
if session then
  leave_marker(session.key)
  return { 'now' }
end
if why == 'ended' then return { 'before' } end
if why == 'newer' then
  leave_marker(KEYS[1])
  return { 'now' }
end
return { why == 'unknown' and 'unknown' or 'damaged', what }

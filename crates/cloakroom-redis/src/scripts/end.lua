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

local outcome, what = end_one(KEYS[1], KEYS[2])
return { outcome, what }

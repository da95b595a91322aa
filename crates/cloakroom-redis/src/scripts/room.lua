-- room: whether a login under a limit that refuses would find room. Changes nothing that is alive. On a
-- cluster it is asked before `seal`, so that a login that finds the user full leaves the old session.
--
-- KEYS  1  the session that the login would make; named so that a slot on its way is noticed
--       2  the index of the user: {prefix}:{tag}:user
-- ARGV  name, how many sessions at most (0: any number), when full (end-oldest, refuse)
--
-- Returns  room | full
--
-- One step; 3 commands.

return { pushed_out(KEYS[2], login()) and 'room' or 'full' }

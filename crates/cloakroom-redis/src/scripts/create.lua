-- create: makes a session; never overwrites one.
--
-- KEYS  1  the session: {prefix}:{tag}:session:{id}
--       2  for a user: the index, {prefix}:{tag}:user
-- ARGV  the life:   absolute timeout (ms), idle timeout (ms), cookie (s, r)
--       for a user: name, how many sessions at most (0: any number), when full (end-oldest,
--                   refuse), client (empty: not told)
--       the fields: how many arguments follow, then name and value of each
--
-- Returns  done NOW EXPIRES PUSHED-OUT FIELDS            in MessagePack, as apply.lua does; PUSHED-OUT: ids,
--                                                        parted by spaces
--          taken     there is something under that key
--          full      the user has as many sessions as allowed
--
-- One step, 6 commands (11 with a user).

local session = new_life()
session.key, session.index, session.id = KEYS[1], KEYS[2], id_of(KEYS[1])
local who = session.index and login()
session.user, session.client = who and who.user, who and who.client
session.fields = arguments()

if redis.call('EXISTS', session.key) == 1 then return { 'taken' } end
local out = {}
if who then
  out = pushed_out(session.index, who)
  if not out then return { 'full' } end
end
return moved(session, move_in(session, out), out)

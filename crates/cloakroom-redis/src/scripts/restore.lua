-- restore: makes a session that was alive in another store, with the life that is left to it. Never
-- overwrites one, and never makes one that ended here.
--
-- KEYS  1  the session: {prefix}:{tag}:session:{id}
--       2  the note that it was restored: {prefix}:{tag}:restored:{id}
--       3  for a user: the index, {prefix}:{tag}:user
-- ARGV  when it expires (ms)
--       the life: created (ms), absolute timeout (ms), idle timeout (ms), cookie (s, r), last seen (ms)
--       for a user: the name, client (empty: not told)
--       the fields: how many arguments follow, then name and value of each
--
-- Returns  done
--          there    it is there already, or something that is no session
--          ended    it was ended here, or was restored before and is over
--          expired  it is over by this server's clock
--
-- The note stands until the given record has expired: until then it could be restored a second time,
-- after it ended here.
--
-- One step; 8 commands (12 with a user).

local expires = tonumber(argument())
local session = {
  key = KEYS[1], index = KEYS[3], id = id_of(KEYS[1]),
  created = tonumber(argument()), absolute = tonumber(argument()), idle = tonumber(argument()),
  cookie = argument(), seen = tonumber(argument()), rest = '',
}
session.user = session.index and argument()
session.client = session.index and told(argument())
session.fields = arguments()

if redis.call('EXISTS', session.key) == 1 then
  looks_only = true
  local alive, why = find(session.key, session.index, math.huge)
  if alive or why == 'newer' or why == 'damaged' then return { 'there' } end
  return { 'ended' }
end
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'ended' } end
expires = math.min(expires, session.created + session.absolute)
if expires <= now then return { 'expired' } end

put(session, expires, session.index and pushed_out(session.index, { at_most = 0 }))
redis.call('SET', KEYS[2], '', 'PXAT', ms(expires))
return { 'done' }

-- peek: a session as it is. Writes nothing, and renews nothing.
--
-- KEYS  1  the session: {prefix}:{tag}:session:{id}
--       2  the index, {prefix}:{tag}:user; looked at only if there is a user. Left out for a token of
--          nobody
--
-- Returns  done NOW EXPIRES false FIELDS             in MessagePack, as apply.lua does
--          unknown | ended | newer | damaged WHAT    it is not alive
--
-- One step; about 6 commands.

looks_only = true
local user = redis.pcall('HGET', KEYS[1], '~user')
local session, why, what = find(KEYS[1], type(user) == 'string' and KEYS[2] or nil, math.huge)
if not session then return { why, what } end
return reply('done', session, seldom().expiry_of(KEYS[1]))

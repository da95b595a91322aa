-- look: what sessions of a user say of themselves, without using them. Changes nothing.
--
-- KEYS  1  the index: {prefix}:{tag}:user
--       then the sessions: {prefix}:{tag}:session:{id}
-- ARGV  the user's name
--
-- Returns  NOW, then for each session  LIFE EXPIRES CLIENT, three empty texts for one that is not
--          alive; CLIENT is empty if it was not told
--
-- One step, about 5 commands a session.

local expiry_of = seldom().expiry_of
local user, lines = argument(), { ms(now) }
for at = 2, #KEYS do
  local key = KEYS[at]
  local entered = redis.pcall('ZSCORE', KEYS[1], id_of(key))
  local said = redis.pcall('HMGET', key, '~', '~user', '~client')
  local alive = type(entered) == 'string' and not said.err and said[1] and said[2] == user
  lines[#lines + 1] = alive and said[1] or ''
  lines[#lines + 1] = alive and ms(expiry_of(key)) or ''
  lines[#lines + 1] = alive and said[3] or ''
end
return lines

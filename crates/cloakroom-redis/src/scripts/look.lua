-- look: what sessions of a user say of themselves, without using them. Changes nothing.
--
-- KEYS  1  the index: {prefix}:{tag}:user
--       then the sessions: {prefix}:{tag}:session:{id}
-- ARGV  the user's name
--
-- Returns  NOW, then for each session  LIFE EXPIRES, or two empty texts for one that is not alive
--
-- One step, about 5 commands a session.

local user, lines = argument(), { ms(now) }
for at = 2, #KEYS do
  local key = KEYS[at]
  local entered = redis.pcall('ZSCORE', KEYS[1], id_of(key))
  local said = redis.pcall('HMGET', key, '~', '~user')
  local alive = type(entered) == 'string' and not said.err and said[1] and said[2] == user
  lines[#lines + 1] = alive and said[1] or ''
  lines[#lines + 1] = alive and ms(expiry_of(key)) or ''
end
return lines

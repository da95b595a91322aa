-- seal: the first of two steps of a login whose old and new session lie in different slots of a
-- cluster. Ends the old session and answers what goes along; the second step is `create`. Whoever dies
-- between the two leaves nobody logged in, and never two sessions.
--
-- KEYS  1  the old session
--       2  for a token of a user: its index
-- ARGV  perhaps, first, the token that was presented: token GENERATION AGO EVERY GRACE; see session.lua
--       limits:     bytes per value, fields, bytes per session: one argument, parted by spaces
--       sets:       how many arguments follow, then name and value of each; done to the old session
--       removes:    how many arguments follow, then the name of each; likewise
--       carried:    how many arguments follow, then the names that a login keeps
--       fields:     how many arguments follow, then name and value of each
--
-- Returns  sealed (NAME VALUE)...    the fields of the new session; also if the old one was not alive
--          refused WHY [NAME]        nothing was done
--          stolen                    the token was, and the old session has been ended
--
-- One step; 6 commands (8 with a user).

local token = token_shown()
local limit = limits()
local old, gone = find_for(token, KEYS[1], KEYS[2], 'never')
if gone == 'stolen' then return { gone } end
local fields = opened(old and old.flat or {})
plain_writes(fields)
-- The same user would have the same slot.
local kept, refused = taken_along(old, gone, fields, limit, nil)
if not kept then return refused end
if old or gone == 'newer' then
  if KEYS[2] then redis.call('ZREM', KEYS[2], id_of(KEYS[1])) end
  leave_marker(KEYS[1])
end
local lines = { 'sealed' }
for _, word in ipairs(kept) do lines[#lines + 1] = word end
return lines

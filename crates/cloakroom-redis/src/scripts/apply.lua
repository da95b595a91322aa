-- apply: changes a session that is alive, renews its time to live, and returns it whole.
--
-- KEYS  1  the session: {prefix}:{tag}:session:{id}
--       2  for a token of a user: the index, {prefix}:{tag}:user
-- ARGV  perhaps, first, the token that was presented: token GENERATION AGO EVERY GRACE; see session.lua
--       touch:      never, or by how many ms a renewal may be put off (0: renew exactly)
--       only if:    alive, or logged-in
--       here it may end: then it only reads
--       limits:     bytes per value, fields, bytes per session: one argument, parted by spaces
--       perhaps:    writes, and then
--                     sets:     how many arguments follow, then name and value of each
--                     removes:  how many arguments follow, then the name of each
--       operation:  read
--                   increment NAME BY               BY: decimal
--                   count NAME BY                   the same, but never below 0
--                   compare-and-set NAME NEW        if the field is absent
--                   compare-and-set NAME NEW OLD    if the field holds OLD
--                   take NAME                       answers the value and removes it
--                   append NAME ITEM KEEP           ITEM: JSON without line breaks; KEEP: items kept
--
-- Returns, in one string, an array in MessagePack:
--          done NOW EXPIRES ANSWER FIELDS [NEXT]       the session after it; times in ms; ANSWER or false;
--                                                      the fields as an array, like HGETALL answers them;
--                                                      the token to hand out
--          not-logged-in NOW EXPIRES false FIELDS [NEXT]
--      or, as the server's own array,
--          conflict [VALUE]                            what the field holds instead
--          refused WHY [NAME]                          nothing was changed
--          stolen                                      the token was, and the session has been ended
--          unknown | ended | newer | damaged WHAT
--
-- For example, from any language, one more visit for whoever is logged in:
--   EVALSHA <sha> 2 <session> <index> 0 logged-in '16384 64 65536' count visits 1
--
-- One step; a read costs 3 commands (4 with a user), a write one more. Two more (three) where quick.lua,
-- which stands before this, has looked and left the rest to it.
--
-- A read is answered before the functions are made that a change needs: those are in fields.lua and
-- change.lua, which stand behind this.

local token = token_shown()
local touch, only_if = argument(), argument()
local session, why, what = find_for(token, KEYS[1], KEYS[2], touch)
if not session then return { why, what } end

if only_if == 'logged-in' and not session.user then
  return reply('not-logged-in', session, renew(session, touch))
end
if #ARGV == read then return reply('done', session, renew(session, touch)) end

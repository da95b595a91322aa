-- rotate: ends one session and makes the one that takes its place.
--
-- KEYS  1  the old session
--       2  the new session
--       then, for an old token of a user, the old index; then, for a new one, the new index
-- ARGV  perhaps, first, the token that was presented: token GENERATION AGO EVERY GRACE; see session.lua
--       kinds:      aa, au, ua, uu (old and new; a anonymous, u user)
--       limits:     bytes per value, fields, bytes per session: one argument, parted by spaces
--       sets:       how many arguments follow, then name and value of each; done to the old session
--       removes:    how many arguments follow, then the name of each; likewise
--       why:        renewal: the same session under a new id
--                   login, followed by
--                     the life: absolute timeout (ms), idle timeout (ms), cookie (s, r)
--                     name, how many sessions at most (0: any number), when full (end-oldest,
--                     refuse), client (empty: not told)
--                     carried: how many arguments follow, then the names that a login keeps
--                     fields: how many arguments follow, then name and value of each
--
-- Returns  done NOW EXPIRES PUSHED-OUT FIELDS            in MessagePack, as apply.lua does; PUSHED-OUT: ids,
--                                                        parted by spaces
--          taken | full | refused WHY [NAME]             nothing was done
--          stolen                                        the token was, and the old session has been
--                                                        ended; nothing else was done
--          unknown | ended | newer | damaged WHAT        for a renewal; a login goes ahead, and ends
--                                                        a session of a later layout too
--
-- One step; about 16 commands for a login.

local token = token_shown()
local kinds, limit = argument(), limits()
local old_index = string.sub(kinds, 1, 1) == 'u' and KEYS[3] or nil
local new_index = string.sub(kinds, 2, 2) == 'u' and KEYS[#KEYS] or nil
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'taken' } end
local old, gone, what = find_for(token, KEYS[1], old_index, 'never')
if gone == 'stolen' then return { gone } end

local fields = opened(old and old.flat or {})
plain_writes(fields)
local why = argument()
local new, out
if why == 'renewal' then
  if not old then return { gone, what } end
  local refused = refusal(fields, limit)
  if refused then return refused end
  out = {}
  new = {
    created = old.created, absolute = old.absolute, idle = old.idle, cookie = old.cookie,
    rest = old.rest, seen = now, user = old.user, client = old.client,
    fields = own_fields(fields.flat),
  }
else
  new = new_life()
  local who = login()
  new.user, new.client = who.user, who.client
  local kept, refused = taken_along(old, gone, fields, limit, who.user)
  if not kept then return refused end
  new.fields = kept
  local ends_old = old or gone == 'newer'
  out = pushed_out(new_index, who, ends_old and old_index == new_index and id_of(KEYS[1]))
  if not out then return { 'full' } end
end

new.key, new.index, new.id = KEYS[2], new_index, id_of(KEYS[2])
local expires = move_in(new, out)
if old or gone == 'newer' then
  if old_index then redis.call('ZREM', old_index, id_of(KEYS[1])) end
  leave_marker(KEYS[1])
end
return moved(new, expires, out)

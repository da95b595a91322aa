-- What the scripts share. It stands before each of them.
--
-- The layout of a session (version 1):
--   {prefix}:{tag}:session:{id}   HASH   the application's fields, `~` and, for a user, `~user` and
--                                        perhaps `~client` and `~token`
--   {prefix}:{tag}:user           ZSET   id -> the last instant (ms) at which it can be alive
--   {prefix}:{tag}:ended          ZSET   as it was, of sessions that were ended all at once and
--                                        whose hashes wait to be removed
-- `~` is "1 CREATED ABSOLUTE IDLE SEEN COOKIE": milliseconds, SEEN counted from CREATED, COOKIE s
-- (dropped when the browser closes) or r (remembered). What follows belongs to later versions, and is
-- kept as it is. `~token` is
-- "GENERATION SINCE USED": which token is the current one, when it was issued, in ms from CREATED, and
-- whether anybody has presented it (used, new); without it "0 0 used". In the place of a session that
-- was ended stands, for two minutes, the string "ended": a marker, without data.
--
-- A session is alive while its hash is there, its deadline has not passed and, if it has a user, its
-- id stands in that user's index. What is not alive is never written to.
--
-- Order, so that a full server refuses before anything is done, and never refuses a read or a logout:
-- what can fail; the application's writes; PEXPIREAT; and only then our own notes, which Redis allows
-- to a script that has already written.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = clock()

-- The arguments, one after the other.
local read = 0
local function argument()
  read = read + 1
  return ARGV[read]
end

-- A list of arguments: how many, then each.
local function arguments()
  local list = {}
  for i = 1, tonumber(argument()) do list[i] = argument() end
  return list
end

-- Milliseconds as text: a plain `tostring` rounds to 14 digits.
local function ms(number) return string.format('%.0f', number) end

-- The token that was presented, where tokens are replaced periodically: the arguments then begin with
--   token GENERATION AGO EVERY GRACE
-- AGO: how long ago it came; EVERY: how long a token is current, or never; GRACE: how long it is good for
-- after that; all in ms.
local function token_shown()
  if ARGV[1] ~= 'token' then return nil end
  read = 1
  return {
    generation = tonumber(argument()), ago = tonumber(argument()), every = tonumber(argument()),
    grace = tonumber(argument()),
  }
end

-- The id of a session is the end of its key.
local function id_of(key) return string.match(key, '[^:]+$') end

local function leave_marker(key)
  -- Never refused by a full server, and so allows what follows. UNLINK would do as well, but after it
  -- a node that hands the slot over would send us to the other one.
  redis.call('PEXPIRE', key, '120000')
  redis.call('SET', key, 'ended', 'PX', '120000')
end

-- An index expires with the last session in it.
local function expire_with_last(index)
  local last = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')
  redis.call('PEXPIREAT', index, ms(tonumber(last[2])))
end

local function enter_index(index, id, alive_until)
  redis.call('ZADD', index, ms(alive_until), id)
  expire_with_last(index)
end

-- How exact SEEN and the index are: a minute, or a tenth of a short idle timeout.
local function seen_every(session) return math.min(60000, math.floor(session.idle / 10)) end

local function write_life(session)
  return string.format('1 %s %s %s %s %s%s', ms(session.created), ms(session.absolute),
    ms(session.idle), ms(session.seen - session.created), session.cookie, session.rest)
end

-- When it expires if it is used now. The one place in the scripts where time to live is decided.
local function expires_at(session, slack)
  return math.min(now + session.idle + slack, session.created + session.absolute)
end

-- Until when the index has to keep it: uses that don't reach the index may prolong it that long.
local function indexed_until(session, expires)
  return math.min(expires + seen_every(session), session.created + session.absolute)
end

-- Whether this script must leave everything as it is.
local looks_only = false

-- What stands under a key. Returns the session, or nil and why there is none: 'unknown', 'ended',
-- 'newer' (a later layout: left alone), 'damaged' (nothing that we wrote: removed).
local function find(key, index, most_fields)
  local function remove(what)
    if not looks_only then redis.call('UNLINK', what) end
  end
  local function damaged(what)
    remove(key)
    return nil, 'damaged', what
  end
  local size = redis.pcall('HLEN', key)
  if type(size) == 'table' then
    if redis.pcall('GET', key) == 'ended' then return nil, 'ended' end
    return damaged('no hash')
  end
  if size == 0 then return nil, 'unknown' end
  if size > math.max(most_fields, 1024) + 4 then return damaged('too many fields') end

  local session = { key = key, index = index, id = id_of(key), fields = {} }
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do session.fields[flat[i]] = flat[i + 1] end
  local life, user = session.fields['~'], session.fields['~user']
  session.client, session.token = session.fields['~client'], session.fields['~token']
  session.fields['~'], session.fields['~user'] = nil, nil
  session.fields['~client'], session.fields['~token'] = nil, nil

  local layout = life and string.match(life, '^(%d+) ')
  if layout and layout ~= '1' then return nil, 'newer' end
  local created, absolute, idle, seen, cookie, rest =
    string.match(life or '', '^1 (%d+) (%d+) (%d+) (%d+) ([sr])(.*)$')
  if not created or not (rest == '' or string.match(rest, '^ ')) then return damaged('no life') end
  if (index ~= nil) ~= (user ~= nil) then return damaged('not of its kind') end
  session.user, session.cookie, session.rest = user, cookie, rest
  session.created, session.absolute = tonumber(created), tonumber(absolute)
  session.idle, session.seen = tonumber(idle), tonumber(created) + tonumber(seen)
  local idle_fits = session.idle >= 1 and session.idle <= session.absolute
  -- 400 days; and some 280,000 years, beyond which numbers are not exact.
  if not idle_fits or session.absolute > 34560000000 or session.seen > 9007199254740992 then
    return damaged('no life')
  end
  if user and (#user < 1 or #user > 64 or string.find(user, '%c')) then return damaged('no user') end

  if now >= session.created + session.absolute then
    remove(key)
    return nil, 'unknown'
  end
  if index then
    local score = redis.pcall('ZSCORE', index, session.id)
    if type(score) == 'table' then
      remove(index)
      return damaged('the index is no sorted set')
    end
    if not score then
      if not looks_only then leave_marker(key) end
      return nil, 'ended'
    end
    session.indexed_until = tonumber(score)
  end
  return session
end

-- What the token that was presented comes to. Notes in the session what to keep and which token to
-- hand out; or returns 'stolen' (somebody else has its successor), or 'ended' (nobody can judge it).
local function judge(session, token, touch)
  local kept = session.token or '0 0 used'
  local generation, since, used = string.match(kept, '^(%d+) (%d+) (%a+)')
  local current, issued = tonumber(generation) or 0, tonumber(since) or 0
  local presented = used ~= 'new'
  local age = now - session.created
  local came = math.max(0, age - token.ago)
  if token.generation > current then
    -- We issued it, and a failover or a restore has forgotten.
    current, issued, presented = token.generation, age, true
  elseif token.generation == current then
    presented = true
    local due = token.every and touch ~= 'never' and age - issued >= token.every
    if due and current < 4294967295 then
      current, issued, presented = current + 1, age, false
      session.next_token = ms(current)
    end
  elseif token.generation < current - 1 then
    return came < issued and 'ended' or 'stolen'
  elseif came - issued > token.grace then
    if presented then return 'stolen' end
    if token.every then
      -- Its successor was lost on the way, and is issued once more.
      issued = age
      session.next_token = ms(current)
    end
  end
  local keep = string.format('%s %s %s', ms(current), ms(issued), presented and 'used' or 'new')
  if keep ~= kept then session.new_token = keep end
end

-- As `find`, for who comes with a token; 'stolen' if the session has just been ended for it.
local function find_for(token, key, index, most_fields, touch)
  local session, why, what = find(key, index, most_fields)
  if not session or not token then return session, why, what end
  why = judge(session, token, touch)
  if not why then return session end
  if why == 'stolen' then
    if index then redis.call('ZREM', index, session.id) end
    leave_marker(key)
  end
  return nil, why
end

-- When the key expires, to the millisecond. Redis 7 has a command for it; here the time to live is
-- read until no millisecond begins meanwhile (before Redis 7.2 the clock goes on during a script).
local function expiry_of(key)
  local before, left
  repeat
    before, left = clock(), redis.call('PTTL', key)
  until clock() == before
  return before + left
end

-- Renews the time to live; `touch` is 'never', or by how many milliseconds a renewal may be put off.
local function prolong(session, touch)
  if touch == 'never' then return expiry_of(session.key) end
  local slack = tonumber(touch)
  if slack > 0 then
    local expires = expiry_of(session.key)
    if expires >= expires_at(session, 0) then return expires end
  end
  local expires = expires_at(session, slack)
  redis.call('PEXPIREAT', session.key, ms(expires))
  if now - session.seen >= seen_every(session) then
    session.seen = now
    redis.call('HSET', session.key, '~', write_life(session))
  end
  if session.index and session.indexed_until < expires then
    -- Only now and then: the index knows of more life than the session had.
    enter_index(session.index, session.id, indexed_until(session, expires))
  end
  return expires
end

-- The same, and keeps what is to be kept of the token.
local function renew(session, touch)
  local expires = prolong(session, touch)
  if session.new_token then
    -- The first is never refused by a full server, and so allows what follows. A key that expires
    -- meanwhile is removed by the last.
    redis.call('PEXPIRE', session.key, '120000')
    redis.call('HSET', session.key, '~token', session.new_token)
    redis.call('PEXPIREAT', session.key, ms(expires))
  end
  return expires
end

-- The session as a reply: what was done, now, when it expires, the answer, and all fields.
local function reply(outcome, session, expires, answer)
  local lines = { outcome, ms(now), ms(expires), answer or false, '~', write_life(session) }
  if session.user then
    lines[7], lines[8] = '~user', session.user
  end
  if session.client then
    lines[#lines + 1] = '~client'
    lines[#lines + 1] = session.client
  end
  if session.next_token then
    lines[#lines + 1] = '~next'
    lines[#lines + 1] = session.next_token
  end
  for name, value in pairs(session.fields) do
    lines[#lines + 1] = name
    lines[#lines + 1] = value
  end
  return lines
end

-- Redis takes some thousands of arguments at once.
local function in_pieces(command, key, list)
  for from = 1, #list, 2000 do
    redis.call(command, key, unpack(list, from, math.min(from + 1999, #list)))
  end
end

-- What a session may hold, as it stands in the arguments.
local function limits()
  return {
    fields = tonumber(argument()),
    value_bytes = tonumber(argument()),
    session_bytes = tonumber(argument()),
  }
end

-- How much fields hold: how many, and the bytes of names and values.
local function size(fields)
  local count, bytes = 0, 0
  for name, value in pairs(fields) do
    count, bytes = count + 1, bytes + #name + #value
  end
  return count, bytes
end

-- Refuses what was added since the fields held `count` and `bytes`, and nothing else: a limit that was
-- lowered later locks nothing up. Returns the refusal, or nil.
local function refusal(count, bytes, fields, written, limit)
  if not next(written) then return end
  for name in pairs(written) do
    if fields[name] and #fields[name] > limit.value_bytes then
      return { 'refused', 'value-too-large', name }
    end
  end
  local count_now, bytes_now = size(fields)
  if count_now > math.max(count, limit.fields) then return { 'refused', 'too-many-fields' } end
  if bytes_now > math.max(bytes, limit.session_bytes) then return { 'refused', 'session-too-large' } end
end

-- Plain writes, from the arguments: names and values to set, then names to remove.
local function plain_writes(fields, written)
  local sets, removes = arguments(), arguments()
  for i = 1, #sets, 2 do
    fields[sets[i]] = sets[i + 1]
    written[sets[i]] = true
  end
  for _, name in ipairs(removes) do
    fields[name] = nil
    written[name] = true
  end
end

-- What is known of a client, if anything.
local function told(client) return client ~= '' and client or nil end

-- Who logs in and under which limit, from the arguments.
local function login()
  return {
    user = argument(),
    at_most = tonumber(argument()), -- 0: any number
    when_full = argument(),         -- 'end-oldest' or 'refuse'
    client = told(argument()),
  }
end

-- A life that begins now, from the arguments.
local function new_life()
  return {
    created = now, seen = now,
    absolute = tonumber(argument()), idle = tonumber(argument()), cookie = argument(), rest = '',
  }
end

-- Whom a login pushes out of the index: the ids with the least life left, never `given_up`, the one
-- that this login itself gives up. Returns nil if there is no room and the limit refuses.
local function pushed_out(index, who, given_up)
  local kind = redis.call('TYPE', index).ok
  if kind ~= 'zset' and kind ~= 'none' then redis.call('UNLINK', index) end -- nothing that we wrote
  if who.at_most == 0 then return {} end
  local others = redis.call('ZCOUNT', index, '(' .. ms(now), '+inf')
  local score = given_up and redis.call('ZSCORE', index, given_up)
  if score and tonumber(score) > now then others = others - 1 end
  local surplus = others + 1 - who.at_most
  if surplus <= 0 then return {} end
  if who.when_full == 'refuse' then return nil end
  local oldest = redis.call('ZRANGEBYSCORE', index, '(' .. ms(now), '+inf', 'LIMIT', 0, surplus + 1)
  local out = {}
  for _, id in ipairs(oldest) do
    if id ~= given_up and #out < surplus then out[#out + 1] = id end
  end
  return out
end

-- Makes a session that is not there yet. Its hash comes first: a full server refuses that, and
-- nothing is done. Returns when it expires.
local function put(session, expires, out)
  local list = { '~', write_life(session) }
  if session.user then
    list[3], list[4] = '~user', session.user
  end
  if session.client then
    list[#list + 1] = '~client'
    list[#list + 1] = session.client
  end
  for name, value in pairs(session.fields) do
    list[#list + 1] = name
    list[#list + 1] = value
  end
  in_pieces('HSET', session.key, list)
  redis.call('PEXPIREAT', session.key, ms(expires))
  if session.index then
    redis.call('ZREMRANGEBYSCORE', session.index, '-inf', ms(now))
    if #out > 0 then in_pieces('ZREM', session.index, out) end
    enter_index(session.index, session.id, indexed_until(session, expires))
  end
  return expires
end

-- The same, for one that begins now.
local function move_in(session, out) return put(session, expires_at(session, 0), out) end

-- The reply of a login or a rotation: like `reply`, with the ids that were pushed out as its answer.
local function moved(session, expires, out)
  return reply('done', session, expires, table.concat(out, ' '))
end

-- Ends one session. Out of the index in any case: the index is the authority. Returns 'now', 'before',
-- 'unknown', or 'damaged' and what.
local function end_one(key, index)
  local session, why, what = find(key, index, math.huge)
  if index then redis.pcall('ZREM', index, id_of(key)) end
  if session or why == 'newer' then
    leave_marker(key)
    return 'now'
  end
  if why == 'ended' then return 'before' end
  return why, what
end

-- What a login takes along, from the arguments: the names that it carries, then the fields that it
-- sets. `fields` are those of the old session with what was `written` to it, `count` and `bytes` what it held
-- before, `gone` why there is none. Returns the fields of the new session, or nil and a refusal.
local function taken_along(old, gone, fields, written, count, bytes, limit, user)
  local carried, set = arguments(), arguments()
  local kept = {}
  -- Who comes with an expired session is a newcomer: their writes count.
  if gone == 'unknown' or old and (not old.user or old.user == user) then
    local refused = refusal(count, bytes, fields, written, limit)
    if refused then return nil, refused end
    if old and old.user then
      kept = fields
    else
      for _, name in ipairs(carried) do kept[name] = fields[name] end
    end
  end
  written, count, bytes = {}, size(kept)
  for i = 1, #set, 2 do
    kept[set[i]] = set[i + 1]
    written[set[i]] = true
  end
  local refused = refusal(count, bytes, kept, written, limit)
  if refused then return nil, refused end
  return kept
end

-- What the scripts share. It stands before each of them and runs with each, and Lua makes every function
-- anew at each call, which costs as much as a short command: so it holds what nearly all need, and
-- `seldom` what nearly all can need. Behind it stand, for those that need them, fields.lua, moves.lua
-- and along.lua.
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

-- Now, in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The arguments, one after the other.
local read = 0
local function argument()
  read = read + 1
  return ARGV[read]
end

-- Milliseconds as text, for what is kept: a plain `tostring` rounds to 14 digits. Commands and replies
-- take numbers as they are, exactly.
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

-- The id of a session is the end of its key: 43 characters.
local function id_of(key) return string.sub(key, -43) end

local function leave_marker(key)
  -- Never refused by a full server, and so allows what follows. UNLINK would do as well, but after it
  -- a node that hands the slot over would send us to the other one.
  redis.call('PEXPIRE', key, '120000')
  redis.call('SET', key, 'ended', 'PX', '120000')
end

-- When it expires if it is used now. The one place in the scripts where time to live is decided.
local function expires_at(session, slack)
  local expires, deadline = now + session.idle + slack, session.created + session.absolute
  return expires < deadline and expires or deadline
end

-- How exact SEEN and the index are: a minute, or a tenth of a short idle timeout.
local function seen_every(session)
  return session.idle < 600000 and math.floor(session.idle / 10) or 60000
end

-- What few calls need, made when one does.
local function seldom()
  local all = {}

  -- When the key expires, to the millisecond. Redis 7 has a command for it; here the time to live is
  -- read until no millisecond begins meanwhile (before Redis 7.2 the clock goes on during a script).
  function all.expiry_of(key)
    local function clock()
      local time = redis.call('TIME')
      return time[1] * 1000 + math.floor(time[2] / 1000)
    end
    local before, left
    repeat
      before, left = clock(), redis.call('PTTL', key)
    until clock() == before
    return before + left
  end

  -- An index expires with the last session in it.
  function all.expire_with_last(index)
    local last = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')
    redis.call('PEXPIREAT', index, tonumber(last[2]))
  end

  function all.enter_index(index, id, alive_until)
    redis.call('ZADD', index, alive_until, id)
    all.expire_with_last(index)
  end

  -- Until when the index has to keep it: uses that don't reach the index may prolong it that long.
  function all.indexed_until(session, expires)
    return math.min(expires + seen_every(session), session.created + session.absolute)
  end

  function all.life_of(session)
    return string.format('1 %s %s %s %s %s%s', ms(session.created), ms(session.absolute),
      ms(session.idle), ms(session.seen - session.created), session.cookie, session.rest)
  end

  -- Keeps that the session was seen now.
  function all.see(session)
    session.seen = now
    local life = all.life_of(session)
    redis.call('HSET', session.key, '~', life)
    for i = 1, #session.flat, 2 do
      if session.flat[i] == '~' then session.flat[i + 1] = life end
    end
  end

  -- Keeps what is to be kept of the token. The first is never refused by a full server, and so allows
  -- what follows. A key that expires meanwhile is removed by the last.
  function all.keep_token(session, expires)
    redis.call('PEXPIRE', session.key, '120000')
    redis.call('HSET', session.key, '~token', session.new_token)
    redis.call('PEXPIREAT', session.key, expires)
  end

  return all
end

-- Whether this script must leave everything as it is.
local looks_only = false

-- What stands under the key is no session: it is removed. Returns what `find` does.
local function removed(key, why, what)
  if not looks_only then redis.call('UNLINK', key) end
  return nil, why, what
end

-- What stands under a key. Returns the session, or nil and why there is none: 'unknown', 'ended',
-- 'newer' (a later layout: left alone), 'damaged' (nothing that we wrote: removed).
local function find(key, index, most_fields)
  local flat = redis.pcall('HGETALL', key)
  if flat.err then
    if redis.pcall('GET', key) == 'ended' then return nil, 'ended' end
    return removed(key, 'damaged', 'no hash')
  end
  if #flat == 0 then return nil, 'unknown' end
  if #flat > 2 * ((most_fields or 1024) + 4) then return removed(key, 'damaged', 'too many fields') end

  local life, user, client, token = '', nil, nil, nil
  for i = 1, #flat, 2 do
    local name = flat[i]
    if name == '~' then life = flat[i + 1]
    elseif name == '~user' then user = flat[i + 1]
    elseif name == '~client' then client = flat[i + 1]
    elseif name == '~token' then token = flat[i + 1]
    end
  end
  local created, absolute, idle, seen, cookie, rest =
    string.match(life, '^1 (%d+) (%d+) (%d+) (%d+) ([sr])(.*)$')
  if not created or not (rest == '' or string.find(rest, '^ ')) then
    local layout = string.match(life, '^(%d+) ')
    if layout and layout ~= '1' then return nil, 'newer' end
    return removed(key, 'damaged', 'no life')
  end
  if (index ~= nil) ~= (user ~= nil) then return removed(key, 'damaged', 'not of its kind') end
  -- Adding makes numbers of them, quicker than `tonumber`.
  created, absolute, idle, seen = created + 0, absolute + 0, idle + 0, created + seen
  -- 400 days; and some 280,000 years, beyond which numbers are not exact.
  if idle < 1 or idle > absolute or absolute > 34560000000 or seen > 9007199254740992 then
    return removed(key, 'damaged', 'no life')
  end
  if user and (#user < 1 or #user > 64 or string.find(user, '%c')) then
    return removed(key, 'damaged', 'no user')
  end

  if now >= created + absolute then return removed(key, 'unknown') end
  local id, indexed = id_of(key), nil
  if index then
    indexed = redis.pcall('ZSCORE', index, id)
    if not indexed then
      if not looks_only then leave_marker(key) end
      return nil, 'ended'
    end
    if type(indexed) == 'table' then
      removed(index)
      return removed(key, 'damaged', 'the index is no sorted set')
    end
    indexed = indexed + 0
  end
  -- `flat`: what the hash holds, name after value, as HGETALL answers it.
  return {
    key = key, index = index, id = id, flat = flat, user = user, client = client, token = token,
    created = created, absolute = absolute, idle = idle, seen = seen, cookie = cookie, rest = rest,
    indexed_until = indexed,
  }
end

-- As `find`, for who comes with a token: notes in the session what to keep of it and which to hand out.
-- 'stolen' if somebody else has its successor, and the session has just been ended for that; 'ended' if
-- nobody can judge it.
local function find_for(token, key, index, touch)
  local session, why, what = find(key, index)
  if not session or not token then return session, why, what end

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
    why = came < issued and 'ended' or 'stolen'
  elseif came - issued > token.grace then
    if presented then
      why = 'stolen'
    elseif token.every then
      -- Its successor was lost on the way, and is issued once more.
      issued = age
      session.next_token = ms(current)
    end
  end
  if why == 'stolen' then
    if index then redis.call('ZREM', index, session.id) end
    leave_marker(key)
  end
  if why then return nil, why end
  local keep = string.format('%s %s %s', ms(current), ms(issued), presented and 'used' or 'new')
  if keep ~= kept then session.new_token = keep end
  return session
end

-- Renews the time to live, and keeps what is to be kept of the token; `touch` is 'never', or by how many
-- milliseconds a renewal may be put off. Returns when the session expires.
local function renew(session, touch)
  local slack, key, expires = tonumber(touch), session.key, nil
  if slack ~= 0 then
    expires = seldom().expiry_of(key)
    if slack and expires < expires_at(session, 0) then expires = nil end
  end
  if not expires then
    expires = expires_at(session, slack)
    redis.call('PEXPIREAT', key, expires)
    if now - session.seen >= seen_every(session) then seldom().see(session) end
    if session.index and session.indexed_until < expires then
      -- Only now and then: the index knows of more life than the session had.
      local now_and_then = seldom()
      now_and_then.enter_index(session.index, session.id, now_and_then.indexed_until(session, expires))
    end
  end
  if session.new_token then seldom().keep_token(session, expires) end
  return expires
end

-- The session as a reply: what was done, now, when it expires, the answer or false, all that the hash
-- holds, and perhaps the token to hand out. In one piece (an array in MessagePack), which is less work here
-- and much less where it is read.
local function reply(outcome, session, expires, answer)
  local said = { outcome, now, expires, answer or false, session.flat, session.next_token }
  return cmsgpack.pack(said)
end

-- Redis takes some thousands of arguments at once.
local function in_pieces(command, key, list)
  for from = 1, #list, 2000 do
    redis.call(command, key, unpack(list, from, math.min(from + 1999, #list)))
  end
end

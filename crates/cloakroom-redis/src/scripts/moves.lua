-- What the scripts share that make, move and end sessions. It stands behind session.lua.

local seldom = seldom()

-- A list of arguments: how many, then each.
local function arguments()
  local list = {}
  for i = 1, tonumber(argument()) do list[i] = argument() end
  return list
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

-- Makes a session that is not there yet, of its life and its `fields`, name after value. Its hash comes
-- first: a full server refuses that, and nothing is done. Returns when it expires.
local function put(session, expires, out)
  local flat = { '~', seldom.life_of(session) }
  if session.user then
    flat[3], flat[4] = '~user', session.user
  end
  if session.client then
    flat[#flat + 1] = '~client'
    flat[#flat + 1] = session.client
  end
  for _, word in ipairs(session.fields) do flat[#flat + 1] = word end
  session.flat = flat
  in_pieces('HSET', session.key, flat)
  redis.call('PEXPIREAT', session.key, expires)
  if session.index then
    redis.call('ZREMRANGEBYSCORE', session.index, '-inf', now)
    if #out > 0 then in_pieces('ZREM', session.index, out) end
    seldom.enter_index(session.index, session.id, seldom.indexed_until(session, expires))
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

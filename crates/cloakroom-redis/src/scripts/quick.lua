-- quick: answers what nearly all calls of apply.lua are, and as that would: a read, or one more of a
-- counter that is there, in a session that is alive and of which nothing is to be noted but its renewal.
-- It stands at the head of the script and makes no function, for Lua makes each anew at each call: Redis
-- works a fifth less for it. What it does not expect it leaves, untouched, to what stands behind it, which
-- alone decides what is not alive; the bounds are those of `find` there.
repeat
  local argv, redis, string = ARGV, redis, string
  local counts = #argv == 6 and (argv[4] == 'count' or argv[4] == 'increment')
  -- To be renewed exactly, and without a token to judge.
  if argv[1] ~= '0' or not counts and #argv ~= 2 then break end

  local key, index, counter = KEYS[1], KEYS[2], argv[5]
  local time = redis.call('TIME')
  local micros = time[2]
  local now = time[1] * 1000 + (micros - micros % 1000) / 1000
  local flat = redis.pcall('HGETALL', key)
  if #flat > 2056 then break end
  local life, user, at = '', nil, nil
  for i = 1, #flat, 2 do
    local name = flat[i]
    if name == '~' then life = flat[i + 1]
    elseif name == '~user' then user = flat[i + 1]
    elseif name == counter then at = i + 1
    end
  end

  local created, absolute, idle, seen = string.match(life, '^1 (%d+) (%d+) (%d+) (%d+) [sr]$')
  if not created then break end
  -- Adding makes numbers of them, quicker than `tonumber`.
  created, absolute, idle, seen = created + 0, absolute + 0, idle + 0, created + seen
  if idle < 1 or idle > absolute or absolute > 34560000000 or seen > 9007199254740992 then break end
  if user then
    if not index or #user < 1 or #user > 64 or string.find(user, '%c') then break end
  elseif index or argv[2] == 'logged-in' then
    break
  end

  local expires, deadline = now + idle, created + absolute
  if now >= deadline or now - seen >= (idle < 600000 and math.floor(idle / 10) or 60000) then break end
  if deadline < expires then expires = deadline end
  if index then
    local indexed = redis.pcall('ZSCORE', index, string.sub(key, -43))
    if type(indexed) ~= 'string' or indexed + 0 < expires then break end
  end

  local sum = false
  if counts then
    local kept, by, plain = at and flat[at], argv[6], '^[1-9]%d*$'
    -- What Lua adds exactly.
    if not kept or #kept > 15 or kept ~= '0' and not string.find(kept, plain)
      or by ~= '1' and not string.find(by, plain) then
      break
    end
    sum = string.format('%d', kept + by)
    -- A longer one is for the limits to judge. That of a value has at least three digits here, and the sum
    -- at most fifteen.
    local second, third = string.byte(argv[3], 2, 3)
    if #sum > #kept or second == 32 or third == 32 then break end
    redis.call('HSET', key, counter, sum)
    flat[at] = sum
  end
  -- As text: of a number the server makes one by itself, which takes it twice as long.
  redis.call('PEXPIREAT', key, string.format('%d', expires))
  return cmsgpack.pack({ 'done', now, expires, sum, flat })
until true

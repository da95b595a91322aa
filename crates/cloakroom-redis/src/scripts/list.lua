-- list: a page of a user's index, the session with the most life left first. Changes nothing.
--
-- KEYS  1  the index: {prefix}:{tag}:user
-- ARGV  how many entries at most
--       for a later page: the score and the id of the last entry of the page before
--
-- Returns  NOW MORE (ID SCORE)...   MORE: 1 if entries follow, else 0
--
-- One step; 4 commands, and for a later page as many more as the index has binary digits.

-- `<` of Lua asks the locale; Redis orders entries of one score by their bytes.
local function stands_after(one, other)
  for at = 1, math.min(#one, #other) do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a > b end
  end
  return #one > #other
end

-- At which place the entries begin that have less left than that one had, wherever it is now.
local function place_after(index, score, id)
  local low, high = 0, redis.call('ZCARD', index)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('ZREVRANGE', index, middle, middle, 'WITHSCORES')
    local its = tonumber(entry[2])
    if its > score or its == score and (entry[1] == id or stands_after(entry[1], id)) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return { ms(now), '0' } end
local at_most, score = tonumber(argument()), argument()
local first = score and place_after(KEYS[1], tonumber(score), argument()) or 0
local entries = redis.call('ZREVRANGE', KEYS[1], first, first + at_most, 'WITHSCORES')
local lines = { ms(now), '0' }
for at = 1, #entries, 2 do
  -- Who is below has expired as well.
  if tonumber(entries[at + 1]) <= now then break end
  if at > 2 * at_most then
    lines[2] = '1'
    break
  end
  lines[#lines + 1] = entries[at]
  lines[#lines + 1] = ms(tonumber(entries[at + 1]))
end
return lines

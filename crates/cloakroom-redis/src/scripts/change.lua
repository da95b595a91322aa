-- The changes that apply.lua leaves: plain writes, and one operation besides. It stands behind apply.lua
-- and fields.lua; the arguments are described there.

-- The sum as text, or nil and why not.
local function sum(a, b, never_below_0)
  local plain = '^-?[1-9]%d*$'
  -- Numbers that Lua adds exactly, as nearly always.
  if #a < 16 and #b < 16 and (a == '0' or string.find(a, plain)) and string.find(b, plain) then
    local added = a + b
    if never_below_0 and added < 0 then return nil, 'out-of-range' end
    return ms(added)
  end

  -- A decimal of 64 bits in two halves of exact Lua numbers (which end at 2^53), both with its sign.
  local function halves(decimal)
    local sign, digits = string.match(decimal, '^(-?)(%d+)$')
    if not digits or #digits > 19 then return end
    if string.match(digits, '^0') and decimal ~= '0' then return end
    local high, low = tonumber(string.sub(digits, 1, -10)) or 0, tonumber(string.sub(digits, -9))
    if sign == '-' then high, low = -high, -low end
    return high, low
  end

  local function within_64_bits(high, low)
    if high > 9223372036 or high < -9223372036 then return false end
    if high == 9223372036 then return low <= 854775807 end
    if high == -9223372036 then return low >= -854775808 end
    return true
  end

  local a_high, a_low = halves(a)
  local b_high, b_low = halves(b)
  if not a_high or not within_64_bits(a_high, a_low) then return nil, 'not-a-number' end
  local high, low = a_high + b_high, a_low + b_low
  if low >= 1e9 then high, low = high + 1, low - 1e9 end
  if low <= -1e9 then high, low = high - 1, low + 1e9 end
  if high > 0 and low < 0 then high, low = high - 1, low + 1e9 end
  if high < 0 and low > 0 then high, low = high + 1, low - 1e9 end
  if not within_64_bits(high, low) then return nil, 'out-of-range' end
  if never_below_0 and (high < 0 or low < 0) then return nil, 'out-of-range' end
  if high == 0 then return string.format('%.0f', low) end
  return string.format('%.0f%09.0f', high, math.abs(low))
end

-- The list with one more item, and only the newest `keep`; nil if it is no list. Splices bytes: JSON
-- is not read, for Redis' own reader makes {} of [].
local function appended(list, item, keep)
  if #list < 2 or string.sub(list, 1, 1) ~= '[' or string.sub(list, -1) ~= ']' then return end
  local inner, items, from = string.sub(list, 2, -2), {}, 1
  while true do
    local at = string.find(inner, ',\n', from, true)
    if not at then break end
    items[#items + 1] = string.sub(inner, from, at - 1)
    from = at + 2
  end
  local rest = string.sub(inner, from)
  if string.find(rest, '%S') then items[#items + 1] = rest end
  items[#items + 1] = item
  return '[' .. table.concat(items, ',\n', math.max(1, #items - keep + 1)) .. ']'
end

local limit, fields = limits(), opened(session.flat)
local operation = argument()
if operation == 'writes' then
  plain_writes(fields)
  operation = argument()
end
local name, answer = argument(), nil
local flat = session.flat
local kept = flat[place_of(flat, name)]
if operation == 'increment' or operation == 'count' then
  answer, why = sum(kept or '0', argument(), operation == 'count')
  if not answer then return { 'refused', why, name } end
  write(fields, name, answer)
elseif operation == 'compare-and-set' then
  local new, old = argument(), argument()
  if kept ~= old then return { 'conflict', kept } end
  write(fields, name, new)
elseif operation == 'take' then
  answer = kept
  write(fields, name, nil)
elseif operation == 'append' then
  local item, keep = argument(), tonumber(argument())
  local list = appended(kept or '[]', item, keep)
  if not list then return { 'refused', 'not-a-list', name } end
  write(fields, name, list)
elseif operation ~= 'read' then
  return redis.error_reply('ERR cloakroom: no operation is called ' .. tostring(operation))
end

local refused = refusal(fields, limit)
if refused then return refused end
local sets, removes = {}, {}
for _, field in ipairs(fields.written) do
  local place = place_of(flat, field)
  if place then
    sets[#sets + 1] = field
    sets[#sets + 1] = flat[place]
  else
    removes[#removes + 1] = field
  end
end
in_pieces('HSET', session.key, sets)
in_pieces('HDEL', session.key, removes)
return reply('done', session, renew(session, touch), answer)

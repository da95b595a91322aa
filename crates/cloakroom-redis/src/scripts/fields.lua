-- The application's fields while they change. It stands behind session.lua where they can.

-- What a session may hold, as it stands in the arguments.
local function limits()
  local value_bytes, fields, session_bytes = string.match(argument(), '^(%d+) (%d+) (%d+)$')
  return { fields = fields, value_bytes = value_bytes, session_bytes = session_bytes }
end

-- `flat` as HGETALL answers them, the names of those that were `written`, and by how many fields and
-- bytes of names and values they have grown.
local function opened(flat) return { flat = flat, written = {}, more_fields = 0, more_bytes = 0 } end

-- Where in it the value of a field stands. Looked for each time: to note the places of all costs more
-- than to find the one or two that most calls want.
local function place_of(flat, name)
  for i = 1, #flat, 2 do
    if flat[i] == name then return i + 1 end
  end
end

-- The one place where a field is changed: set, or without a value removed.
local function write(fields, name, value)
  local flat = fields.flat
  local place, last = place_of(flat, name), #flat
  fields.written[#fields.written + 1] = name
  if place then
    fields.more_bytes = fields.more_bytes + #(value or '') - #flat[place]
    if value then
      flat[place] = value
    else
      fields.more_fields, fields.more_bytes = fields.more_fields - 1, fields.more_bytes - #name
      -- The last takes its place.
      flat[place - 1], flat[place] = flat[last - 1], flat[last]
      flat[last - 1], flat[last] = nil, nil
    end
  elseif value then
    fields.more_fields, fields.more_bytes = fields.more_fields + 1, fields.more_bytes + #name + #value
    flat[last + 1] = name
    flat[last + 2] = value
  end
end

local function is_ours(name)
  return name == '~' or name == '~user' or name == '~client' or name == '~token'
end

-- How many of them are the application's, and how many bytes of names and values those have.
local function size_of(flat)
  local count, bytes = 0, 0
  for i = 1, #flat, 2 do
    if not is_ours(flat[i]) then count, bytes = count + 1, bytes + #flat[i] + #flat[i + 1] end
  end
  return count, bytes
end

-- Refuses what was added, and nothing else: a limit that was lowered later locks nothing up. Returns
-- the refusal, or nil.
local function refusal(fields, limit)
  local flat, value_bytes = fields.flat, tonumber(limit.value_bytes)
  for _, name in ipairs(fields.written) do
    local place = place_of(flat, name)
    if place and #flat[place] > value_bytes then return { 'refused', 'value-too-large', name } end
  end
  if fields.more_fields <= 0 and fields.more_bytes <= 0 then return end
  local count, bytes = size_of(flat)
  if fields.more_fields > 0 and count > tonumber(limit.fields) then
    return { 'refused', 'too-many-fields' }
  end
  if fields.more_bytes > 0 and bytes > tonumber(limit.session_bytes) then
    return { 'refused', 'session-too-large' }
  end
end

-- Plain writes, from the arguments: names and values to set, then names to remove.
local function plain_writes(fields)
  for _ = 1, tonumber(argument()), 2 do write(fields, argument(), argument()) end
  for _ = 1, tonumber(argument()) do write(fields, argument(), nil) end
end

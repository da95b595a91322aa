-- What goes along from one session into another. It stands behind fields.lua and moves.lua.

-- The application's fields alone, name after value.
local function own_fields(flat)
  local own = {}
  for i = 1, #flat, 2 do
    if not is_ours(flat[i]) then
      own[#own + 1] = flat[i]
      own[#own + 1] = flat[i + 1]
    end
  end
  return own
end

-- What a login takes along, from the arguments: the names that it carries, then the fields that it
-- sets. `fields` are those of the old session with what was written to it, `gone` why there is none.
-- Returns the fields of the new session, or nil and a refusal.
local function taken_along(old, gone, fields, limit, user)
  local carried, set = arguments(), arguments()
  local kept = {}
  -- Who comes with an expired session is a newcomer: their writes count.
  if gone == 'unknown' or old and (not old.user or old.user == user) then
    local refused = refusal(fields, limit)
    if refused then return nil, refused end
    if old and old.user then
      kept = own_fields(fields.flat)
    else
      for _, name in ipairs(carried) do
        local place = place_of(fields.flat, name)
        if place then
          kept[#kept + 1] = name
          kept[#kept + 1] = fields.flat[place]
        end
      end
    end
  end
  local taken = opened(kept)
  for i = 1, #set, 2 do write(taken, set[i], set[i + 1]) end
  local refused = refusal(taken, limit)
  if refused then return nil, refused end
  return taken.flat
end

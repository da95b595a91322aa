-- count: how many sessions stand in a user's index. Changes nothing.
--
-- KEYS  1  the index: {prefix}:{tag}:user
--
-- Returns  how many there are with life left
--
-- One step, 3 commands.

if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return '0' end
return tostring(redis.call('ZCOUNT', KEYS[1], '(' .. ms(now), '+inf'))

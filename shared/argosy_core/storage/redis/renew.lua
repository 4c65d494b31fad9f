-- KEYS[1] a lease; ARGV token, now and new end in microseconds, keep in ms. Gives 1, or 0 and the newest generation.
local last = redis.call('HMGET', KEYS[1], 'token', 'expires', 'generation')
if ARGV[1] == '' or last[1] ~= ARGV[1] or tonumber(last[2]) <= tonumber(ARGV[2]) then
    return {0, last[3] or '0'}
end
redis.call('HSET', KEYS[1], 'expires', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1}

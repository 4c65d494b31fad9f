-- KEYS[1] a lease; ARGV token, keep in ms. The generation stays.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'token') == ARGV[1] then
    redis.call('HSET', KEYS[1], 'token', '')
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {1}

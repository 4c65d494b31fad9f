-- KEYS[1] a lease; ARGV holder, token, now and end in microseconds by the store's clock, lowest generation, keep in ms.
-- Gives 1 and the generation, or 0, the holder, the generation and the end of the lease that holds.
local last = redis.call('HMGET', KEYS[1], 'token', 'expires', 'holder', 'generation')
if last[1] == ARGV[2] then
    return {1, last[4]} -- this very call, its answer was lost
end
if last[1] and last[1] ~= '' and tonumber(last[2]) > tonumber(ARGV[3]) then
    return {0, last[3], last[4], last[2]}
end
-- Redis may have lost what it held. Its clock has gone on all the same: a generation is never below its microseconds,
-- of which every call takes more than one.
local time = redis.call('TIME')
local generation = math.max(tonumber(last[4] or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[5]))
local text = string.format('%.0f', generation)
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'expires', ARGV[4], 'holder', ARGV[1], 'generation', text)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {1, text}

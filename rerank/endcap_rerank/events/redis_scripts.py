"""What Redis runs for the store of events. KEYS and ARGV as ``RedisEventStore`` gives them."""

_DELETE = """
local function delete(id)
    local document = redis.call('HGET', KEYS[1], id)
    if document then redis.call('ZREM', ARGV[1] .. cjson.decode(document)[1], id) end
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
end
local function trim(user, most)
    local ids = redis.call('ZRANGE', ARGV[1] .. user, 0, -most - 1)
    for _, id in ipairs(ids) do delete(id) end
    return #ids
end
local function expire(oldest, most)
    local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. oldest, 'LIMIT', 0, most)
    for _, id in ipairs(ids) do delete(id) end
    return #ids
end
"""
# A script runs alone and whole: no other client sees half of it, and it is written to the log as one.
APPEND = (
    _DELETE
    + """
local most, oldest, added, users = tonumber(ARGV[2]), ARGV[3], 0, {}
for at = 4, #ARGV, 4 do
    local id, user, time, document = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if redis.call('HSETNX', KEYS[1], id, document) == 1 then
        redis.call('ZADD', KEYS[2], time, id)
        redis.call('ZADD', ARGV[1] .. user, time, id)
        users[user] = true
        added = added + 1
    end
end
if added > 0 then
    if most > 0 then for user in pairs(users) do trim(user, most) end end
    if oldest ~= '' then expire(oldest, (#ARGV - 3) / 2 + 1000) end
    redis.call('INCR', KEYS[3])
end
return added
"""
)
OF_USER = """
local ids
if ARGV[1] == '' then
    ids = redis.call('ZREVRANGE', KEYS[2], 0, ARGV[2] - 1)
else
    ids = redis.call('ZREVRANGEBYSCORE', KEYS[2], '+inf', ARGV[1], 'LIMIT', 0, ARGV[2])
end
local found = {}
for start = 1, #ids, 1000 do
    local part = redis.call('HMGET', KEYS[1], unpack(ids, start, math.min(start + 999, #ids)))
    for _, document in ipairs(part) do found[#found + 1] = document end
end
return '[' .. table.concat(found, ',') .. ']'
"""
FORGET = """
local ids = redis.call('ZRANGE', KEYS[4], 0, -1)
for _, id in ipairs(ids) do
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
end
redis.call('DEL', KEYS[4])
if #ids > 0 then redis.call('INCR', KEYS[3]) end
return #ids
"""
PRUNE = (
    _DELETE
    + """
local deleted = 0
if ARGV[2] ~= '' then deleted = expire(ARGV[2], 1000) end
for at = 4, #ARGV do deleted = deleted + trim(ARGV[at], tonumber(ARGV[3])) end
if deleted > 0 then redis.call('INCR', KEYS[3]) end
return deleted
"""
)

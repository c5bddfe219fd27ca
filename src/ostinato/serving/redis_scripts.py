"""What Redis does as a whole, in its own language. Of a session there are: a hash; a text that is there longer, which
says whose it was and how it ended; and its place in two indexes, by the millisecond at which it is over."""

_BEGIN = """
local prefix, at = KEYS[1], 0
local function take() at = at + 1; return ARGV[at] end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local all = prefix .. ':all'
local function of(owner) return prefix .. ':of:' .. owner end
local function session(id) return prefix .. ':session:' .. id end
local function gone(id) return prefix .. ':gone:' .. id end
local function whole(number) return string.format('%.0f', number) end
local function prune(index) redis.call('ZREMRANGEBYSCORE', index, '-inf', whole(now)) end
"""

_KEEP = """
local idle, remembered = tonumber(take()), tonumber(take())
local function keep(id, owner, over)
  local left = math.min(idle, over - now)
  redis.call('PEXPIRE', session(id), whole(left))
  redis.call('SET', gone(id), owner .. '\\n' .. whole(over), 'PX', whole(math.max(left, 0) + remembered))
  for _, index in ipairs({all, of(owner)}) do
    redis.call('ZADD', index, whole(now + left), id)
    redis.call('PEXPIRE', index, whole(idle + remembered))
  end
end
"""

FETCH = (
    _BEGIN
    + _KEEP
    + """
local use, answers = take() == '1', {}
while at < #ARGV do
  local id, known = take(), take()
  local there = redis.call('HMGET', session(id), 'sequence', 'owner', 'over')
  if there[1] then
    local unused = idle - redis.call('PTTL', session(id))
    if use and unused > math.min(1000, idle / 10) then keep(id, there[2], tonumber(there[3])) end
    answers[#answers + 1] = there[1] == known and 1 or redis.call('HGETALL', session(id))
  else
    local owner, why = string.match(redis.call('GET', gone(id)) or '', '^(.*)\\n(.*)$')
    if not owner then
      answers[#answers + 1] = 0
    else
      local over = tonumber(why)
      if over then why = over <= now and 'age' or 'idle' end
      answers[#answers + 1] = owner .. '\\n' .. why
    end
  end
end
return answers
"""
)

COMMIT = (
    _BEGIN
    + _KEEP
    + """
local num_changed, num_ended, ids = tonumber(take()), tonumber(take()), {}
for i = 1, num_changed do
  local id, expected = take(), take()
  if (redis.call('HGET', session(id), 'sequence') or '') ~= expected then return 0 end
  ids[i] = id
end
for _, id in ipairs(ids) do
  local owner, over, key = take(), tonumber(take()), session(id)
  for _ = 1, tonumber(take()) do redis.call('HDEL', key, take()) end
  for _ = 1, tonumber(take()) do
    local field = take()
    redis.call('HSET', key, field, take())
  end
  redis.call('HSET', key, 'owner', owner, 'over', whole(over))
  keep(id, owner, over)
end
for _ = 1, num_ended do
  local id = take()
  local owner = redis.call('HGET', session(id), 'owner')
  if owner then
    redis.call('DEL', session(id))
    redis.call('ZREM', all, id)
    redis.call('ZREM', of(owner), id)
    redis.call('SET', gone(id), owner .. '\\ndeleted', 'PX', whole(remembered))
  end
end
return 1
"""
)

COUNT = (
    _BEGIN
    + """
local own = of(take())
prune(all)
prune(own)
return {redis.call('ZCARD', all), redis.call('ZCARD', own)}
"""
)

FACTS = (
    _BEGIN
    + """
local own, found = of(take()), {}
prune(own)
for _, id in ipairs(redis.call('ZRANGE', own, 0, -1)) do
  local about = redis.call('HGET', session(id), 'about')
  if about then found[#found + 1] = about end
end
return found
"""
)

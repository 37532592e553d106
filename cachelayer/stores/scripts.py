"""The steps of the protocol that must be one step on the server, in Lua.

The state of a tag is a string: a version, or an intent `!id:end,id:end`, each write's id with the millisecond (of the
server's clock) at which it is taken for dead. A holder that died does not live on because others hold the tag too.

Shebang flags (Redis 7): what announces runs even when memory is full; a write that could not be announced would be a
stale read. What stores a value does not.
"""

_SHEBANG = "#!lua flags=allow-oom\n"
_SHEBANG_OF_VALUES = "#!lua\n"

# Milliseconds now; the holders of an intent that are alive, as a list of {id, end}; a list of holders as a state.
_HOLDERS = """
local clock

local function now()
  clock = clock or redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

local NOBODY = {}

local function holders(state)
  if not state or state:byte() ~= 33 then return NOBODY end  -- 33 is '!'
  local alive = {}
  for id, ends in state:gmatch('([^!:,]+):(%d+)') do
    if tonumber(ends) > now() then alive[#alive + 1] = {id, tonumber(ends)} end
  end
  return alive
end

local function hold(key, alive)
  local words, last = {}, 0
  for i, holder in ipairs(alive) do
    words[i] = holder[1] .. ':' .. string.format('%d', holder[2])
    last = math.max(last, holder[2])
  end
  redis.call('SET', key, '!' .. table.concat(words, ','), 'PX', last - now())
end

local function without(alive, id)
  local others = {}
  for _, holder in ipairs(alive) do
    if holder[1] ~= id then others[#others + 1] = holder end
  end
  return others
end

-- Namespaces' versions stay for good.
local function renew(key, version, ttl)
  if tonumber(ttl) > 0 then redis.call('SET', key, version, 'PX', ttl) else redis.call('SET', key, version) end
end
"""

# KEYS tags · ARGV id, ms to live, channel, message
BEGIN = (
    _SHEBANG
    + _HOLDERS
    + """
local id, ttl = ARGV[1], ARGV[2]
local alone = '!' .. id .. ':' .. string.format('%d', now() + ttl)
for i, state in ipairs(redis.call('MGET', unpack(KEYS))) do
  local alive = holders(state)
  if #alive == 0 then
    redis.call('SET', KEYS[i], alone, 'PX', ttl)
  else
    alive = without(alive, id)
    alive[#alive + 1] = {id, now() + ttl}
    hold(KEYS[i], alive)
  end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
"""
)

# KEYS tags · ARGV id, version, channel, message, ms a version lives for each key (0: for good) → tags that were lost
# Readers bypassed the tags since BEGIN announced them, so there is nothing to announce unless an intent was lost.
# Nobody waits for the answer; how many were lost is said in the announcement.
END = (
    _SHEBANG
    + _HOLDERS
    + """
local id, version, lost = ARGV[1], ARGV[2], 0
local ours = '!' .. id .. ':'
for i, state in ipairs(redis.call('MGET', unpack(KEYS))) do
  if state and state:sub(1, #ours) == ours and not state:find(',', 1, true) then
    renew(KEYS[i], version, ARGV[4 + i])
  else
    local alive = holders(state)
    local others = without(alive, id)
    if #others == #alive then lost = lost + 1 end
    if #others > 0 then hold(KEYS[i], others) else renew(KEYS[i], version, ARGV[4 + i]) end
  end
end
if lost > 0 then redis.call('PUBLISH', ARGV[3], ARGV[4] .. string.char(10) .. '^' .. lost) end
return lost
"""
)

# KEYS tags · ARGV version, channel, message, ms a version lives for each key
TOUCH = (
    _SHEBANG
    + _HOLDERS
    + """
for i, key in ipairs(KEYS) do
  if #holders(redis.call('GET', key)) == 0 then renew(key, ARGV[1], ARGV[3 + i]) end
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""
)

# KEYS entry, tags (the first is touched) · ARGV version, channel, message, head, payload, ms to live, ms for each tag
PUT = (
    _SHEBANG_OF_VALUES
    + _HOLDERS
    + """
local versions = {}
local held = false
for i = 2, #KEYS do
  local state = redis.call('GET', KEYS[i])
  if #holders(state) > 0 then
    held = true
  elseif i == 2 or not state or state:sub(1, 1) == '!' then
    renew(KEYS[i], ARGV[1], ARGV[5 + i])
    state = ARGV[1]
  end
  versions[i - 1] = state
end
if held then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[4] .. table.concat(versions) .. ARGV[5], 'PX', ARGV[6])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""
)

# KEYS the vouched-for run, `*`, namespaces · ARGV version, channel, message, quarantine ms, its id, forced (0 or 1)
# → 1 for a quarantine, 0 for none, or what the server is when it is no master
RESTORE = (
    _SHEBANG
    + _HOLDERS
    + """
local role = redis.call('INFO', 'replication'):match('role:(%a+)')
if role ~= 'master' then return role end
local run = redis.call('INFO', 'server'):match('run_id:(%w+)')
local strange = ARGV[6] == '1' or redis.call('GET', KEYS[1]) ~= run
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then renew(KEYS[i], ARGV[1], 0) end
end
if not strange then return 0 end
redis.call('SET', KEYS[1], run)
local alive = without(holders(redis.call('GET', KEYS[2])), ARGV[5])
alive[#alive + 1] = {ARGV[5], now() + ARGV[4]}
hold(KEYS[2], alive)
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""
)

# KEYS a key · ARGV a value: what BEGIN needs, a server that takes writes even when its memory is full
PROBE = _SHEBANG + "return redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)"

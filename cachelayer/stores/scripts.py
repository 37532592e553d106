"""Lua scripts: the operations of the store that must be atomic on the server.

The state of a tag is a string: a version, or an intent such as `!id:expires,id:expires`. `id` names a write that holds
the tag. `expires` is the time at which the intent of the write expires, in milliseconds of the server's clock. The
intent of each write expires by itself, even if other writes renew their intents on the same tag.

The shebang flags of Lua scripts need Redis 7. Scripts that announce a write also run when the server's memory is full,
because a write that is not announced would cause stale reads. The script PUT, which stores a value, does not run when
the memory is full.
"""

MAX_STATE_BYTES = 2**17  # of a tag: the intents of 4,000 writes; no more hold a tag at once

_SHEBANG = "#!lua flags=allow-oom\n"
_SHEBANG_OF_VALUES = "#!lua\n"

_LIMIT = f"local MAX_STATE = {MAX_STATE_BYTES}"
_HOLDERS = (
    _LIMIT
    + """
local clock

-- Returns the server's time in milliseconds.
local function now()
  clock = clock or redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- Returns the string under a key. GET fails for a key of another type, which somebody planted; for MGET it is missing.
local function get(key)
  return redis.call('MGET', key)[1]
end

local function is_version(state)
  return state and #state == 16 and state:byte() ~= 33  -- 33 is '!'
end

local NO_HOLDERS = {}
local MAX_MS = 3600000

-- Returns the holders in a state that have not expired, as a list of {id, expires}. No write announces an intent for
-- more than a minute; one for more than an hour was planted, and would keep its tag out of use for ever. So was a state
-- that is too large: its millions of holders would keep the server busy for seconds.
local function holders(state)
  if not state or state:byte() ~= 33 or #state > MAX_STATE then return NO_HOLDERS end  -- 33 is '!'
  local alive = {}
  for id, expires in state:gmatch('([^!:,]+):(%d+)') do
    local left = tonumber(expires) - now()
    if left > 0 and left < MAX_MS then alive[#alive + 1] = {id, tonumber(expires)} end
  end
  return alive
end

-- Stores an intent with these holders; the key expires with the last of them.
local function hold(key, alive)
  local parts, last = {}, 0
  for i, holder in ipairs(alive) do
    parts[i] = holder[1] .. ':' .. string.format('%d', holder[2])
    last = math.max(last, holder[2])
  end
  redis.call('SET', key, '!' .. table.concat(parts, ','), 'PX', last - now())
end

local function without(alive, id)
  local others = {}
  for _, holder in ipairs(alive) do
    if holder[1] ~= id then others[#others + 1] = holder end
  end
  return others
end

local fresh

-- Stores a new version, and returns it. A ttl of 0 means that it does not expire, as for namespaces. The version also
-- depends on the time, because a script may run twice, if its sender has lost the connection: a version that a tag had
-- before would bring back the entries of that time.
local function renew(key, version, ttl)
  if not fresh then
    now()
    fresh = redis.sha1hex(version .. clock[1] .. ':' .. clock[2]):sub(1, #version)
  end
  if tonumber(ttl) > 0 then redis.call('SET', key, fresh, 'PX', ttl) else redis.call('SET', key, fresh) end
  return fresh
end
"""
)

# Called with the tags as KEYS, and as ARGV the write id, the time to live in ms, the channel, and the invalidation
# message.
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

# Called with the tags as KEYS, and as ARGV the write id, a new version, the channel, the invalidation message, and for
# each tag the time to live of the version in ms. Returns the number of lost intents, and appends this number to the
# message, because the sender may not read the script's reply. Readers have bypassed the cache for these tags since
# the script BEGIN announced the tags, so END publishes the message only if intents were lost.
_END = """
local id, version, lost = ARGV[1], ARGV[2], 0
local own = '!' .. id .. ':'
for i, state in ipairs(redis.call('MGET', unpack(KEYS))) do
  -- The usual case: this write is the only holder.
  if state and state:sub(1, #own) == own and not state:find(',', 1, true) then
    renew(KEYS[i], version, ARGV[4 + i])
  else
    local alive = holders(state)
    local others = without(alive, id)
    if #others == #alive then lost = lost + 1 end
    if #others > 0 then hold(KEYS[i], others) else renew(KEYS[i], version, ARGV[4 + i]) end
  end
end
if lost > 0 then redis.call('PUBLISH', ARGV[3], ARGV[4] .. string.char(10) .. '^' .. (is_repeated and 0 or lost)) end
return lost
"""
END = _SHEBANG + _HOLDERS + "local is_repeated = false" + _END
# Called like END, by a sender that does not know whether END has run: missing intents do not count as lost.
END_AGAIN = _SHEBANG + _HOLDERS + "local is_repeated = true" + _END

# Called with the tags as KEYS, and as ARGV a new version, the channel, the invalidation message, and for each tag the
# time to live of the version in ms.
TOUCH = (
    _SHEBANG
    + _HOLDERS
    + """
for i, key in ipairs(KEYS) do
  if #holders(get(key)) == 0 then renew(key, ARGV[1], ARGV[3 + i]) end
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""
)

# Called with the entry and its tags as KEYS, and as ARGV a new version, the channel, the invalidation message, the
# entry's sealed body and time to live in ms, and for each tag the time to live of the version in ms. The first tag gets
# the new version, unless a write holds the tag.
PUT = (
    _SHEBANG_OF_VALUES
    + _HOLDERS
    + """
local versions = {}
local held = false
for i = 2, #KEYS do
  local state = get(KEYS[i])
  if #holders(state) > 0 then
    held = true
  elseif i == 2 or not is_version(state) then
    state = renew(KEYS[i], ARGV[1], ARGV[4 + i])
  end
  versions[i - 1] = state
end
if held then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[4] .. table.concat(versions), 'PX', ARGV[5])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""
)

# Called with the saved identity of the server, the tag `*` and the namespaces as KEYS, and as ARGV a new version, the
# channel, the invalidation message, the duration of a quarantine in ms, the write id of a quarantine, and 1 to force a
# quarantine or 0. Returns 1 if a quarantine began and 0 if not, or the role of a server that is not a master. It always
# writes, so that a server that rejects writes, or the writes of this user, rejects the script. It replaces planted
# states of these tags, because few writes touch these tags.
RESTORE = (
    _SHEBANG
    + _HOLDERS
    + """
local info = redis.call('INFO', 'replication')
local role = info:match('role:(%a+)')
if role ~= 'master' then return role end
local run = redis.call('INFO', 'server'):match('run_id:(%w+)') .. ':' .. info:match('master_replid:(%w+)')
local replaced = ARGV[6] == '1' or get(KEYS[1]) ~= run
for i = 2, #KEYS do
  local state = get(KEYS[i])
  if not is_version(state) and #holders(state) == 0 then
    if i == 2 then redis.call('DEL', KEYS[i]) else renew(KEYS[i], ARGV[1], 0) end
  end
end
redis.call('SET', KEYS[1], run)
if not replaced then return 0 end
local alive = without(holders(get(KEYS[2])), ARGV[5])
alive[#alive + 1] = {ARGV[5], now() + ARGV[4]}
hold(KEYS[2], alive)
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""
)

# Called with the saved identity of the server, an answer and further tags as KEYS, and as ARGV the prefix of the keys
# of tags, ETags, and the number of bytes that an answer may have. Returns the identity, the sealed head and the content
# of the answer, and the states of the further tags. `cachelayer.protocol.answers` describes the answer: 4 bytes, the
# seal of 16 bytes, and the head, which consists of 7 bytes, the size of the tags in 4 bytes, the tags, the ETag of 32
# bytes, other things, and versions of 16 bytes. Only what is needed is copied to Lua; most heads have less than 1 kB.
READ_ANSWER = """#!lua flags=no-writes
local reply = redis.call('MGET', KEYS[1], unpack(KEYS, 3))
local result = {reply[1], false, false, unpack(reply, 2)}
local length = redis.pcall('STRLEN', KEYS[2])  -- an error if somebody planted a key of another type
if type(length) ~= 'number' or length > tonumber(ARGV[3]) then return result end
local head = redis.call('GETRANGE', KEYS[2], 0, 1023)
if #head < 63 then return result end
local size, tags_size = struct.unpack('>I4', head), struct.unpack('>I4', head, 28)
if size < tags_size + 59 then return result end
if size > 1020 then head = redis.call('GETRANGE', KEYS[2], 0, size + 3) end
if #head < size + 4 then return result end
local keys = {}
for tag in head:sub(32, 31 + tags_size):gmatch('[^\\n]+') do
  if #keys == 2000 then return result end
  keys[#keys + 1] = ARGV[1] .. tag
end
if #keys == 0 then return result end
local states = redis.call('MGET', unpack(keys))
for _, state in ipairs(states) do
  if not state or #state ~= 16 or state:byte() == 33 then return result end  -- 33 is '!'
end
if head:sub(size + 5 - 16 * #keys, size + 4) ~= table.concat(states) then return result end
result[2] = head:sub(5, size + 4)
if not ARGV[2]:find(head:sub(32 + tags_size, 63 + tags_size), 1, true) then
  result[3] = redis.call('GETRANGE', KEYS[2], size + 4, -1)
end
return result
"""

import { FORMAT, FRESH_UNTIL_AT, HEADER_BYTES, REVISION_AT, STAMP_AT, TAGS_AT } from "./envelope.ts";
import { defineScript } from "./script.ts";
import { TOKEN_LENGTH } from "./token.ts";

/*
 * KEYS of each: value, lease, error, then the tokens of the tags. All are in one slot. Offsets in Lua count from 1.
 */

/**
 * `known(value)`: the value, if it can be read here; `born(value)`: the tokens it was stored with; `revision(value)`: its revision; `present()`: the tokens of
 * the tags, as far as there are any; `tokens(from, ttl)`: the same, those that are missing made of the arguments from there on.
 */
const PRELUDE = `
local function known(value)
  return value and #value >= ${HEADER_BYTES} and string.byte(value) == ${FORMAT} and value
end
local function born(value)
  return string.sub(value, ${HEADER_BYTES + 1}, ${HEADER_BYTES} + ${TOKEN_LENGTH} * string.byte(value, ${TAGS_AT + 1}))
end
local function revision(value)
  return struct.unpack('>d', value, ${REVISION_AT + 1})
end
local function present()
  local all = {}
  for i = 4, #KEYS do all[#all + 1] = redis.call('GET', KEYS[i]) or '' end
  return table.concat(all)
end
local function tokens(from, ttl)
  local all = {}
  for i = 4, #KEYS do
    local token = redis.call('GET', KEYS[i])
    if not token then
      token = ARGV[from + i - 4]
      redis.call('SET', KEYS[i], token, 'PX', ttl)
    end
    all[#all + 1] = token
  end
  return table.concat(all)
end
local function outlive(ttl)
  for i = 4, #KEYS do
    if redis.call('PTTL', KEYS[i]) < tonumber(ttl) then redis.call('PEXPIRE', KEYS[i], 2 * ttl) end
  end
end
`;

/*
 * A lease says who loads the value, by a random token, and with which tokens of its tags. A lease with other tokens than those of now is nobody's: what is
 * loaded under it will not be stored. In the same way, an error says what the tokens were when its load began.
 */

/**
 * Asks for leave to load a value. ARGV: the lease's random token, its milliseconds, the stamp of the value that is known and not wanted, a TTL for new tokens of
 * tags, new tokens. Replies `{1, value, tokens}`: there is one, `{2, tokens, 1 or 0}`: load it, and whether the unwanted one is still there, `{3}`: somebody does,
 * `{4, error}`: somebody did, in vain.
 */
export const ACQUIRE = defineScript(`${PRELUDE}
local current = tokens(5, ARGV[4])
local value = known(redis.call('GET', KEYS[1]))
local isThere = 0
if value and born(value) == current then
  if string.sub(value, ${STAMP_AT + 1}, ${STAMP_AT + 8}) ~= ARGV[3] then return {1, value, current} end
  isThere = 1
end
local failure = redis.call('GET', KEYS[3])
if failure and string.sub(failure, 1, #current) == current then return {4, string.sub(failure, #current + 1)} end
local lease = redis.call('GET', KEYS[2])
if lease and string.sub(lease, ${TOKEN_LENGTH + 1}) == current then return {3} end
redis.call('SET', KEYS[2], ARGV[1] .. current, 'PX', ARGV[2])
return {2, current, isThere}
`);

/**
 * Stores what was loaded, unless the lease is lost, a tag changed, or there is a higher revision. ARGV: the lease, the tokens in it, the envelope, its TTL.
 * Replies `{1}`: stored, `{0}`: invalidated meanwhile, `{2, value}`: there is a newer one.
 */
export const PUT = defineScript(`${PRELUDE}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {0} end
redis.call('DEL', KEYS[2])
if present() ~= ARGV[2] then return {0} end
local value = known(redis.call('GET', KEYS[1]))
if value and born(value) == ARGV[2] and revision(value) > revision(ARGV[3]) then return {2, value} end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[3])
outlive(ARGV[4])
return {1}
`);

/**
 * Stores what a caller has. ARGV: the envelope up to the tokens of its tags and from there on, its TTL, `1` if it has a revision, a TTL for new tokens, new tokens. Replies the tokens, or nil when a
 * value with the same or a higher revision is there. A value without a revision fences loads on their way, one with a revision competes with them.
 */
export const STORE = defineScript(`${PRELUDE}
local current = tokens(6, ARGV[5])
if ARGV[4] == '1' then
  local value = known(redis.call('GET', KEYS[1]))
  if value and born(value) == current and revision(value) >= revision(ARGV[1]) then return false end
else
  redis.call('DEL', KEYS[2])
end
redis.call('SET', KEYS[1], ARGV[1] .. current .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[3])
outlive(ARGV[3])
return current
`);

/** Ends a load that stored nothing. ARGV: the lease, the tokens in it, what waiters shall be told of the error or nothing, for how many milliseconds. */
export const GIVE_UP = defineScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[3] ~= '' then redis.call('SET', KEYS[3], ARGV[2] .. ARGV[3], 'PX', ARGV[4]) end
return 1
`);

/** Keeps a lease. ARGV: the lease, the tokens in it, its milliseconds. Replies 0 when what is loaded under it would not be stored. */
export const RENEW = defineScript(`${PRELUDE}
if redis.call('GET', KEYS[2]) ~= ARGV[1] or present() ~= ARGV[2] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[3])
`);

/** Ends the freshness of a value, whose grace begins. ARGV: the moments at which both end, as they stand in an envelope. Replies whether the value was fresh. */
export const EXPIRE = defineScript(`${PRELUDE}
redis.call('DEL', KEYS[2], KEYS[3])
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
if not known(value) then return redis.call('DEL', KEYS[1]) end
local freshUntil = string.sub(value, ${FRESH_UNTIL_AT + 1}, ${FRESH_UNTIL_AT + 8})
if struct.unpack('>d', freshUntil) <= struct.unpack('>d', ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], string.sub(value, 1, ${FRESH_UNTIL_AT}) .. ARGV[1] .. string.sub(value, ${FRESH_UNTIL_AT + 17}), 'KEEPTTL')
return 1
`);

/** All processes go by the clock of Redis. Tests put another in its place. */
export const SERVER_TIME = `local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000`;

/**
 * KEYS: a state for each limit: when it has drained, and until when it is blocked if it is. ARGV: one line of words, as every argument costs
 * the client about as much as a key. All in milliseconds; Redis takes times to live in whole ones above 0.
 */
const STATE = `${SERVER_TIME}
local words = {}
for word in string.gmatch(ARGV[1], '%S+') do
  words[#words + 1] = word
end
local backlogs, blocks = {}, {}
for i, state in ipairs(redis.call('MGET', unpack(KEYS))) do
  local drained, blocked = string.match(state or '', '^(%S*) ?(%S*)')
  backlogs[i] = math.max((tonumber(drained) or 0) - now, 0)
  blocks[i] = math.max((tonumber(blocked) or 0) - now, 0)
end
local function keep(i, backlog, block)
  local longest = math.max(backlog, block)
  if longest <= 0 then
    redis.call('DEL', KEYS[i])
    return
  end
  local state = now + backlog
  if block > 0 then
    state = string.format('%.17g %.17g', state, now + block)
  end
  redis.call('SET', KEYS[i], state, 'PX', math.max(1, math.ceil(longest)))
end
`;

/**
 * Takes of all limits, or of none.
 *
 * Words: the purpose; charge and slack of each limit; and then, if the call has a stake, credit and what is ahead of it, of each limit.
 * Replies the wait, what counted against the call of each limit, and, if any limit is blocked, for how long each of them is; in
 * microseconds, rounded up.
 */
export const TAKE = `${STATE}
local purpose, stakes = words[1], 2 * #KEYS
local charges, refusals, credits, totals = {}, {}, {}, {}
local reply, wait, isBlocked = { 0 }, 0, false
for i = 1, #KEYS do
  charges[i], credits[i], totals[i] = tonumber(words[2 * i]), 0, backlogs[i]
  local counted = backlogs[i]
  if words[stakes + 2 * i] then
    credits[i] = tonumber(words[stakes + 2 * i])
    totals[i] = math.max(backlogs[i] - credits[i], 0)
    counted = math.min(totals[i], tonumber(words[stakes + 2 * i + 1]))
  end
  refusals[i] = math.max(counted - words[2 * i + 1], blocks[i])
  wait = math.max(wait, refusals[i])
  reply[i + 1] = math.ceil(counted * 1000)
  isBlocked = isBlocked or blocks[i] > 0
end
reply[1] = math.ceil(wait * 1000)
if isBlocked then
  for i = 1, #KEYS do
    reply[#KEYS + 1 + i] = math.ceil(blocks[i] * 1000)
  end
end
if purpose == 'peek' or (purpose == 'take' and wait > 0) then
  return reply
end
for i = 1, #KEYS do
  local due = charges[i]
  if wait > 0 and refusals[i] <= 0 then
    due = 0
  end
  if due > 0 or credits[i] > 0 then
    keep(i, totals[i] + due, blocks[i])
  end
end
return reply`;

/** Words: for each limit what is added to its backlog, and for how long it is blocked at least. */
export const ADJUST = `${STATE}
for i = 1, #KEYS do
  local block = tonumber(words[2 * i])
  keep(i, math.max(backlogs[i] + words[2 * i - 1], 0), math.max(blocks[i], block))
end
return 0`;

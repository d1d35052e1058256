import { defineScript } from "../flight/script.ts";

/**
 * KEYS: processes that are alive, by when their lease ends; the lane; the meters of the upstream; accounts. ARGV: what is asked, as JSON.
 * All times in milliseconds by the clock of Redis.
 *
 * A lane has a field `call:<id>` for each call on its way, an account one for each that is not settled. An id begins with the
 * process that made it, so the death of a process releases all that it held.
 */
const PRELUDE = `local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local ask = cjson.decode(ARGV[1])
local function text(number)
  return string.format('%.17g', number)
end
local function hash(key)
  local fields, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end
local function keep(key, ms)
  redis.call('PEXPIRE', key, math.ceil(ms))
end
redis.call('ZADD', KEYS[1], text(now + ask.leaseMs), ask.process)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
keep(KEYS[1], ask.leaseMs)
local alive = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  alive[name] = true
end
local function callIn(field)
  return string.match(field, '^call:(([^.]+).+)$')
end
local DAY = 86400000
`;

const LANE = `local lane, onWay = hash(KEYS[2]), 0
for field in pairs(lane) do
  local id, owner = callIn(field)
  if id and alive[owner] then
    onWay = onWay + 1
  elseif id then
    redis.call('HDEL', KEYS[2], field)
  end
end
local limit = math.min(tonumber(lane.limit) or ask.start, ask.ceiling)
`;

/**
 * Lets a call in, or says why not; or which accounts (from 1) are to be read from the ledger first.
 *
 * Meters are the generic cell rate algorithm. Whatever passes leaves room for the largest call of late, so that small ones never keep
 * a large one out for ever. Who is refused is told a time of its own, one call apart from the one refused before: all at once they
 * would only be refused again.
 */
export const ENTER = defineScript(`${PRELUDE}${LANE}
local reason, wait, apart, within = nil, 0, 0, 0
local function refuse(why, ms, between, spread)
  if reason == nil or ms > wait then
    reason, wait, apart, within = why, ms, between, math.min(spread or ask.periodMs, ask.periodMs)
  end
end
local each = (tonumber(lane.latency) or ask.latencyMs) / limit
local ends = tonumber(lane.coolUntil) or 0
if ends > now then
  refuse('cooling_down', ends - now, each)
end
if onWay >= math.floor(limit) then
  -- After a round there may be room for twice as many, which nobody should sleep through.
  refuse('appetite', each, each, math.max(tonumber(lane.latency) or 0, ask.latencyMs))
end
local refill = tonumber(lane.refill) or 0
if refill > 0 then
  local left = lane.left + (now - lane.leftAt) / refill
  if left < 1 then
    refuse('appetite', (1 - left) * refill, refill)
  end
end
local expected = 1
if lane.estimated then
  expected = math.min(1, lane.used / lane.estimated)
end
local charged = math.max(1, ask.tokens * expected)
local state, charges = hash(KEYS[3]), {}
for i, meter in ipairs(ask.meters) do
  local name, unit = meter.name, ask.periodMs / meter.limit
  local charge = math.min(name == 'tpm' and charged or 1, meter.limit) * unit
  local largest = charge
  if now - (tonumber(state[name .. ':at']) or 0) < 2 * ask.periodMs then
    largest = math.max(charge, tonumber(state[name .. ':largest']))
  end
  local backlog = math.max((tonumber(state[name]) or 0) - now, 0)
  local slack = math.max(ask.burst * ask.periodMs - largest, 0)
  if backlog > slack then
    refuse(name, backlog - slack, charge)
  end
  charges[i] = { name = name, drained = now + backlog + charge, charge = charge, isLargest = charge >= largest }
end
if reason then
  local turn = math.max(tonumber(lane.turn) or 0, now + wait)
  turn = math.min(turn, now + wait + within)
  redis.call('HSET', KEYS[2], 'turn', text(turn + apart))
  keep(KEYS[2], DAY + math.max(ends - now, 0))
  return cjson.encode({ reason = reason, waitMs = turn - now })
end

local missing, refusal = {}, nil
for i, account in ipairs(ask.accounts) do
  local key = KEYS[3 + i]
  local row, held, calls = hash(key), { tokens = 0, cost = 0 }, 0
  local stale = tonumber(row.stale) or 0
  if account.doubted then
    stale = now
  end
  local open = {}
  for field, value in pairs(row) do
    local id, owner = callIn(field)
    if id and alive[owner] then
      local tokens, cost, at, merged = string.match(value, '^(%S+) (%S+) (%S+) (%S)')
      open[field] = { tokens = tonumber(tokens), cost = tonumber(cost), at = tonumber(at), merged = merged == '1' }
      calls = calls + 1
    elseif id then
      -- What it came to is in the ledger, at its most.
      redis.call('HDEL', key, field)
      stale = now
    end
  end
  local at = tonumber(row.at) or 0
  local sum, isFresh = { tokens = tonumber(row.tokens) or 0, cost = tonumber(row.cost) or 0 }, false
  if account.sum and account.sum.at >= math.max(at, stale) then
    sum, at, isFresh, stale = account.sum, account.sum.at, true, 0
    for field, call in pairs(open) do
      if not call.merged and call.at < at - ask.graceMs then
        call.merged = true
        redis.call('HSET', key, field, text(call.tokens) .. ' ' .. text(call.cost) .. ' ' .. text(call.at) .. ' 1')
      end
    end
    redis.call('HSET', key, 'tokens', text(sum.tokens), 'cost', text(sum.cost), 'at', text(at))
    redis.call('HDEL', key, 'stale')
  elseif stale > 0 then
    redis.call('HSET', key, 'stale', text(stale))
  end
  keep(key, DAY)
  for _, call in pairs(open) do
    if not call.merged then
      held.tokens, held.cost = held.tokens + call.tokens, held.cost + call.cost
    end
  end
  local isMissing = at == 0 or stale >= at or now - at > ask.reloadMs
  for _, unit in ipairs({ 'tokens', 'cost' }) do
    local most, wants = account[unit], ask[unit]
    if most and (not wants or wants > most) then
      refusal = { account = i, unit = unit, final = true, waitMs = 0 }
      isMissing = false
      break
    elseif most and not isMissing and sum[unit] + held[unit] + wants > most then
      local isSpent = sum[unit] + wants > most
      local isLast = isSpent and not account.resetMs and calls == 0
      if not isFresh and (isLast or now - at > ask.freshMs) then
        isMissing = true
      elseif not refusal or not refusal.final then
        local final = isLast and isFresh and (tonumber(row.settled) or 0) < at
        local ms = isSpent and account.resetMs or math.min(each * limit, ask.freshMs)
        refusal = { account = i, unit = unit, final = final, waitMs = ms }
      end
    end
  end
  if isMissing then
    missing[#missing + 1] = i
  end
end
if refusal and refusal.final then
  return cjson.encode(refusal)
end
if #missing > 0 then
  return cjson.encode({ missing = missing, at = text(now) })
end
if refusal then
  return cjson.encode(refusal)
end

local mine = 'call:' .. ask.id
redis.call('HSET', KEYS[2], mine, text(now))
if onWay + 1 >= limit * ask.inUse then
  redis.call('HSET', KEYS[2], 'inUseAt', text(now))
end
if refill > 0 then
  redis.call('HSET', KEYS[2], 'left', text(lane.left - 1))
end
keep(KEYS[2], DAY)
for _, charge in ipairs(charges) do
  redis.call('HSET', KEYS[3], charge.name, text(charge.drained))
  if charge.isLargest then
    redis.call('HSET', KEYS[3], charge.name .. ':largest', text(charge.charge), charge.name .. ':at', text(now))
  end
  keep(KEYS[3], math.max(redis.call('PTTL', KEYS[3]), charge.drained - now + 2 * ask.periodMs))
end
for i = 1, #ask.accounts do
  local value = text(ask.tokens) .. ' ' .. text(ask.cost or 0) .. ' ' .. text(now) .. ' 0'
  redis.call('HSET', KEYS[3 + i], mine, value)
end
return cjson.encode({ at = text(now), charged = charged })`);

/** The call is not on its way any more, and what it says about the next ones. Tells all processes of a cool-down. */
export const REPORT = defineScript(`${PRELUDE}${LANE}
redis.call('HDEL', KEYS[2], 'call:' .. ask.id)
local cutAt, isDoubling = tonumber(lane.cutAt) or 0, lane.doubling ~= '0'
if ask['end'] == 'well' then
  local latency = tonumber(lane.latency) or ask.latency
  redis.call('HSET', KEYS[2], 'strikes', 0, 'latency', text(latency + (ask.latency - latency) * ask.weight))
  if ask.used then
    local used, estimated = tonumber(lane.used) or ask.used, tonumber(lane.estimated) or ask.estimated
    used = used + (ask.used - used) * ask.memory
    estimated = estimated + (ask.estimated - estimated) * ask.memory
    redis.call('HSET', KEYS[2], 'used', text(used), 'estimated', text(estimated))
  end
  if ask.share and ask.share < ask.scarce then
    isDoubling = false
    if ask.share <= 0 then
      limit = limit - 1 / limit
    end
  elseif (tonumber(lane.inUseAt) or 0) >= ask.enteredAt then
    limit = limit + (isDoubling and 1 or 1 / limit)
  end
elseif ask['end'] == 'overloaded' then
  isDoubling = false
  if ask.enteredAt > cutAt then
    limit, cutAt = limit * ask.cut, now
    -- It may count what was asked for, and not what was used.
    if lane.used then
      redis.call('HSET', KEYS[2], 'used', text(math.min(lane.used * 2, tonumber(lane.estimated))))
    end
  end
end
if ask.rooms and ask.enteredAt >= (tonumber(lane.toldBy) or 0) then
  local mean, calls, unit = tonumber(lane.used) or ask.estimated, math.huge, 0
  for _, room in ipairs(ask.rooms) do
    local each = room.unit == 'tokens' and mean or 1
    if room.left / each < calls then
      calls, unit = room.left / each, room.unitMs * each
    end
  end
  for field, at in pairs(lane) do
    -- The endpoint may not have known of it yet.
    if callIn(field) and tonumber(at) > ask.enteredAt then
      calls = calls - 1
    end
  end
  redis.call('HSET', KEYS[2], 'left', text(calls), 'leftAt', text(now), 'refill', text(unit),
    'toldBy', text(ask.enteredAt))
end
limit = math.min(math.max(limit, ask.floor), ask.ceiling)
redis.call('HSET', KEYS[2], 'limit', text(limit), 'cutAt', text(cutAt), 'doubling', isDoubling and 1 or 0)
local left = math.max((tonumber(lane.coolUntil) or 0) - now, 0)
local length = ask.coolMs
if ask.guesses and ask.enteredAt > (tonumber(lane.cooledAt) or 0) then
  local strikes = (tonumber(lane.strikes) or 0) + 1
  redis.call('HSET', KEYS[2], 'strikes', strikes)
  length = ask.guesses[math.min(strikes, #ask.guesses)]
end
if length then
  redis.call('HSET', KEYS[2], 'cooledAt', text(now))
  left = math.max(left, length)
  redis.call('HSET', KEYS[2], 'coolUntil', text(now + left))
  redis.call('PUBLISH', ask.channel, math.ceil(left) .. ' ' .. ask.lane)
end
keep(KEYS[2], DAY + left)
return math.ceil(left)`);

/** What the call came to in the end. What is not known here is in the ledger, which is asked then. */
export const SETTLE = defineScript(`${PRELUDE}
local mine = 'call:' .. ask.id
redis.call('HDEL', KEYS[2], mine)
for name, refund in pairs(ask.refundsMs) do
  local drained = math.max(tonumber(redis.call('HGET', KEYS[3], name) or 0), now) - refund
  if refund < 0 or redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('HSET', KEYS[3], name, text(drained))
    keep(KEYS[3], math.max(redis.call('PTTL', KEYS[3]), drained - now, 60000))
  end
end
for i = 4, #KEYS do
  local entry = redis.call('HGET', KEYS[i], mine)
  local tokens, cost, merged = string.match(entry or '', '^(%S+) (%S+) %S+ (%S)')
  if tokens then
    redis.call('HDEL', KEYS[i], mine)
    local paid = ask.cost or tonumber(cost)
    local before = merged == '1' and { tokens = tonumber(tokens), cost = tonumber(cost) } or { tokens = 0, cost = 0 }
    local sums = redis.call('HMGET', KEYS[i], 'tokens', 'cost')
    redis.call('HSET', KEYS[i], 'tokens', text((tonumber(sums[1]) or 0) + ask.tokens - before.tokens),
      'cost', text((tonumber(sums[2]) or 0) + paid - before.cost), 'settled', text(now))
  else
    redis.call('HSET', KEYS[i], 'stale', text(now))
  end
  keep(KEYS[i], DAY)
end
return 0`);

/** The process is alive, and holds what it holds. */
export const BEAT = defineScript(`${PRELUDE}return 0`);

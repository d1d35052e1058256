import { defineScript } from "./script.ts";

/*
 * KEYS of each:
 *   1  the flight: `+<token>` while it is led, for as long as the lease; `-<token>` for a while after it ended
 *   2  the waiters: processes that listen, sorted by when they are forgotten
 *   3  the stream of one lead, whose entries have the ids 1, 2, 3 …
 * All are in one slot. The name of the flight is its channel, too, with messages `<token> <entry's id> <entry>`.
 */

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** Entries in one reply, so that a late follower does not hold Redis up. */
export const MOST_ENTRIES = 256;

/**
 * Asks who leads, and for leave to lead if nobody does. ARGV: a token to lead with or nothing, the lease, the token of the lead that is known or nothing, the
 * last entry that is known of it, a name to wait under, for how long it is remembered. Replies `{flight, milliseconds, entries}`, and nothing for a flight
 * that is not there. Who knows a lead is told what became of the flight, who knows none does not hear of one that has ended.
 */
export const ASK = defineScript(`${NOW}
local flight = redis.call('GET', KEYS[1])
local led = flight and string.sub(flight, 1, 1) == '+'
if led or (flight and ARGV[3] ~= '') then
  if led then
    redis.call('ZADD', KEYS[2], now + ARGV[6], ARGV[5])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
  end
  local entries = {}
  if string.sub(flight, 2) == ARGV[3] then
    entries = redis.call('XRANGE', KEYS[3], '(' .. ARGV[4], '+', 'COUNT', ${MOST_ENTRIES})
  end
  return {flight, redis.call('PTTL', KEYS[1]), entries}
end
if ARGV[1] == '' then return {} end
redis.call('SET', KEYS[1], '+' .. ARGV[1], 'PX', ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[5])
return {'+' .. ARGV[1], tonumber(ARGV[2]), {}}
`);

/**
 * Renews a lease, and appends an entry or ends the flight, unless the lease is lost. ARGV: the token, the lease, how long stream and end are kept, the id of the
 * entry or 0, the entry, `1` for the end. An entry may be sent again. Replies how many wait elsewhere, or -1 when the lease is lost.
 */
export const WRITE = defineScript(`${NOW}
if redis.call('GET', KEYS[1]) ~= '+' .. ARGV[1] then return -1 end
if ARGV[4] ~= '0' then
  if redis.call('XLEN', KEYS[3]) < tonumber(ARGV[4]) then redis.call('XADD', KEYS[3], ARGV[4] .. '-0', 'e', ARGV[5]) end
  redis.call('PUBLISH', KEYS[1], ARGV[1] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
end
redis.call('PEXPIRE', KEYS[3], ARGV[3])
if ARGV[6] == '1' then
  redis.call('SET', KEYS[1], '-' .. ARGV[1], 'PX', ARGV[3])
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
return redis.call('ZCARD', KEYS[2])
`);

/**
 * Gives a lease back without an end, so that a waiter may take over. ARGV: the token, `1` to do so even if somebody waits. Replies 0 when it is given back,
 * how many wait when it is not, -1 when it was lost before.
 */
export const GIVE_BACK = defineScript(`${NOW}
if redis.call('GET', KEYS[1]) ~= '+' .. ARGV[1] then return -1 end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local waiting = redis.call('ZCARD', KEYS[2])
if waiting > 0 and ARGV[2] ~= '1' then return waiting end
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('PUBLISH', KEYS[1], ARGV[1] .. ' 0 ')
return 0
`);

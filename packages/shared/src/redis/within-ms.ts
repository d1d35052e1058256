import { RedisError } from "./redis-error.ts";

/** Waits for an answer, for so long at most. What comes later, be it an error, is ignored. */
export async function withinMs<Answer>(
  answer: Promise<Answer>,
  milliseconds: number,
  complaint: string,
): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RedisError(complaint)), milliseconds);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

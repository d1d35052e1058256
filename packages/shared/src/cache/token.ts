import { randomUUID } from "node:crypto";

/** Characters of a token, all of them ASCII. */
export const TOKEN_LENGTH = 12;

/** 48 random bits: the version of a tag, or who holds a lease. */
export function newToken(): string {
  return randomUUID().slice(-TOKEN_LENGTH);
}

import type { IncomingMessage } from "node:http";
import type { Role, Store } from "@mythic/runs";
import type { Reads } from "@mythic/runs/cache";
import { parseApiKey } from "./api-key.ts";
import { Problem } from "./errors.ts";
import type { FailedAttempts } from "./failed-attempts.ts";
import { isLoopback, isMeantForThisMachine } from "./same-machine.ts";

/** Who asks. */
export interface Caller {
  readonly user: string;
  readonly role: Role;
  /** Null for the only user of a machine without keys. */
  readonly keyId: string | null;
}

/** Ways to hand in a key. Only pages for people take Basic, since a browser sends it by itself from then on. */
export type Scheme = "bearer" | "basic";

export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly delay: (milliseconds: number) => Promise<void>;
}

export interface AuthenticatorOptions {
  readonly keys: Pick<Store["keys"], "wereEverMade">;
  readonly reads: Pick<Reads, "key">;
  readonly failures: FailedAttempts;
  /** What the server listens on. */
  readonly host: string;
  readonly clock: Clock;
}

/** More are not kept. */
const MOST_DIGESTS = 1_000;

/** Everyone, while no key was ever made and only this machine can ask. */
const LOCAL: Caller = { user: "local", role: "admin", keyId: null };
const CHALLENGES: Readonly<Record<Scheme, Readonly<Record<string, string>>>> = {
  bearer: { "www-authenticate": 'Bearer realm="mythic"' },
  basic: { "www-authenticate": 'Basic realm="mythic", charset="UTF-8"' },
};

/**
 * Finds out who asks. Keys that are good are cached, and forgotten as they are revoked, so a key that was revoked is refused by the
 * next request. That a key was made is kept for good, as it never changes back.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #loopback: boolean;
  /** Of keys that were good, as they were sent: to work out a digest takes longer than all else about a key. Whether it is good still is asked each time. */
  readonly #digests = new Map<string, string>();
  #keysWereMade = false;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#loopback = isLoopback(options.host);
  }

  /** @throws Problem when it is nobody */
  async identify(request: IncomingMessage, scheme: Scheme = "bearer"): Promise<Caller> {
    const headers = CHALLENGES[scheme];
    if (!this.#keysWereMade && !(await this.#wereKeysMade()))
      return this.#identifyWithoutKeys(request, headers);
    const text = credentialOf(request, scheme);
    if (text === null) {
      const detail = "Send a key: Authorization: Bearer myth_live_…";
      throw new Problem("unauthorized", detail, { headers });
    }
    const digest = this.#digests.get(text) ?? parseApiKey(text)?.sha256;
    const key = digest === undefined ? null : (await this.#options.reads.key(digest)).value;
    if (digest === undefined || key === null) return await this.#refuse(request, headers);
    this.#remember(text, digest);
    return { user: key.user, role: key.role, keyId: key.id };
  }

  #remember(text: string, sha256: string): void {
    if (this.#digests.has(text)) return;
    if (this.#digests.size >= MOST_DIGESTS) this.#digests.clear();
    this.#digests.set(text, sha256);
  }

  async #wereKeysMade(): Promise<boolean> {
    this.#keysWereMade = await this.#options.keys.wereEverMade();
    return this.#keysWereMade;
  }

  #identifyWithoutKeys(request: IncomingMessage, headers: Readonly<Record<string, string>>): Caller {
    if (!this.#loopback) {
      const detail = "Make the first key where the server runs: mythic key create --user NAME --role admin";
      throw new Problem("no_keys", detail, { headers });
    }
    if (isMeantForThisMachine(request)) return LOCAL;
    const detail =
      "Without keys only this machine may ask, by its own name. Make a key: mythic key create --user NAME --role admin";
    throw new Problem("forbidden_origin", detail);
  }

  async #refuse(request: IncomingMessage, headers: Readonly<Record<string, string>>): Promise<never> {
    const verdict = await this.#options.failures.add(request.socket.remoteAddress ?? "");
    if (verdict.kind === "refuse") {
      const retryAfter = { "retry-after": String(verdict.retryAfterSeconds) };
      const detail = "Too many wrong keys came from this address.";
      throw new Problem("too_many_attempts", detail, { headers: retryAfter });
    }
    await this.#options.clock.delay(verdict.delayMs);
    throw new Problem("invalid_key", "This key is unknown, mistyped or revoked.", { headers });
  }
}

export function requireAdmin(caller: Caller): void {
  if (caller.role !== "admin") throw new Problem("admin_required", "Only an admin's key may do this.");
}

const CREDENTIAL = /^(\S+) +(\S+)$/;

/** The key that a request brings, or null when it brings none. */
function credentialOf(request: IncomingMessage, scheme: Scheme): string | null {
  const [, name = "", value = ""] = CREDENTIAL.exec(request.headers.authorization ?? "") ?? [];
  if (name.toLowerCase() === "bearer") return value;
  if (name.toLowerCase() !== "basic" || scheme !== "basic") return null;
  const text = Buffer.from(value, "base64").toString("utf8");
  return text.slice(text.indexOf(":") + 1);
}

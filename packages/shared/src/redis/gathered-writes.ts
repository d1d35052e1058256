import type { Socket } from "node:net";
import { Redis } from "ioredis";
import type { RedisConnection } from "./redis-connection.ts";

const LATEST_MS = 2;

/**
 * Sends the commands of one turn of the event loop together, as a system call for each costs more than all else about a command. ioredis has
 * `enableAutoPipelining` for it, which ends the process when a command is given as `call(name, [argument])` (6.0). A Cluster's servers have
 * connections of their own, which are left alone.
 */
export class GatheredWrites {
  readonly #connection: RedisConnection;
  #held: Socket | null = null;
  #isDue = false;
  #later: NodeJS.Timeout | null = null;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /**
   * Holds back what is written from now on until the end of this turn, or, when all of it is in no hurry, until something is, for two
   * milliseconds at most. Only once there was a connection.
   */
  gather({ isUrgent }: { readonly isUrgent: boolean }): void {
    if (!(this.#connection instanceof Redis)) return;
    if (this.#held === null) {
      this.#held = this.#connection.stream;
      this.#held.cork();
    }
    if (this.#isDue) return;
    if (isUrgent) setImmediate(this.#letGo);
    else this.#later ??= setTimeout(this.#letGo, LATEST_MS);
    this.#isDue = isUrgent;
  }

  readonly #letGo = () => {
    if (this.#later !== null) clearTimeout(this.#later);
    this.#later = null;
    this.#isDue = false;
    this.#held?.uncork();
    this.#held = null;
  };
}

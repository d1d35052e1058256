import type { Socket } from "node:net";
import { Redis } from "ioredis";
import type { RedisConnection } from "./redis-connection.ts";

/**
 * Sends the commands of one turn of the event loop together, as a system call for each costs more than all else about a command. ioredis has
 * `enableAutoPipelining` for it, which ends the process when a command is given as `call(name, [argument])` (6.0). A Cluster's servers have
 * connections of their own, which are left alone.
 */
export class GatheredWrites {
  readonly #connection: RedisConnection;
  #held: Socket | null = null;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Holds back what is written from now on until the end of this turn. Only once there was a connection. */
  gather(): void {
    if (this.#held !== null || !(this.#connection instanceof Redis)) return;
    this.#held = this.#connection.stream;
    this.#held.cork();
    setImmediate(this.#letGo);
  }

  readonly #letGo = () => {
    this.#held?.uncork();
    this.#held = null;
  };
}

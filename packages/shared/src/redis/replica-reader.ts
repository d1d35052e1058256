import { type Command, Redis, type RedisOptions } from "ioredis";

/** Commands whose answer a replica can give, as far as caches use them. */
const READS = new Set(["get", "mget", "exists", "ttl", "pttl", "strlen", "hget", "hmget", "hgetall"]);

/**
 * A connection to the primary that Sentinels name, which sends reads to one of its replicas. Without a replica the primary
 * answers them. What is sent in a pipeline goes to the primary.
 */
export class ReplicaReader extends Redis {
  readonly replica: Redis;

  constructor(options: Omit<RedisOptions, "replyMapping">) {
    super(options);
    this.replica = new Redis({ ...options, role: "slave" });
    this.replica.on("error", (error) => this.emit("error", error));
    this.once("end", () => this.replica.disconnect());
  }

  override sendCommand(command: Command, stream?: Parameters<Redis["sendCommand"]>[1]): unknown {
    const replica = stream === undefined && READS.has(command.name) ? this.replica : null;
    return replica?.status === "ready" ? replica.sendCommand(command) : super.sendCommand(command, stream);
  }
}

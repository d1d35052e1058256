import { hostname } from "node:os";
import type { GenericContainer } from "testcontainers";

/** Names who started a container, so that the next test run can remove what a killed one left behind. */
const OWNER_LABEL = "mythic.testing.owner";

/** A container whose server can be frozen, stopped and started again on the same port. */
export interface DockerServer {
  readonly host: string;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** Null when a Docker engine answers, else why not. */
export async function missingDocker(): Promise<string | null> {
  try {
    const { getContainerRuntimeClient } = await import("testcontainers");
    await getContainerRuntimeClient();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Starts the container and waits until it is ready. `testcontainers` is loaded here only, as loading it takes half a second. */
export async function startContainer(container: GenericContainer): Promise<DockerServer> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  const client = await getContainerRuntimeClient();
  const started = await container.withLabels({ [OWNER_LABEL]: `${hostname()}.${process.pid}` }).start();
  const docker = client.container.getById(started.getId());
  const host = started.getHost();
  return {
    // Containers listen on IPv4; `localhost` may be looked up as ::1 first.
    host: host === "localhost" ? "127.0.0.1" : host,
    async pause() {
      // A busy machine may not get all processes to stop in time; then none is.
      await docker.pause().catch(() => docker.pause());
    },
    async resume() {
      await docker.unpause();
    },
    async stop() {
      await docker.kill();
      await docker.wait();
    },
    async start() {
      await docker.start();
    },
    async remove() {
      await docker.remove({ force: true, v: true });
    },
  };
}

/** Removes containers whose owner, a process of this machine, is gone. */
export async function removeAbandonedContainers(): Promise<void> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  const client = await getContainerRuntimeClient();
  const own = `${hostname()}.`;
  for (const container of await client.container.list()) {
    const owner = container.Labels[OWNER_LABEL];
    if (owner?.startsWith(own) && !isAlive(Number(owner.slice(own.length)))) {
      // Another test run may be removing it at this moment.
      await client.container
        .getById(container.Id)
        .remove({ force: true, v: true })
        .catch(() => undefined);
    }
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** A service of the test run, or why it is not to be had. */
export interface SharedService {
  readonly url: string | null;
  readonly reason: string;
}

export type ServiceName = "redis" | "mongo";

/** Where the test run's own process hands out the services it started. Set by the preset's global set-up. */
export const SERVICES_VARIABLE = "MYTHIC_TEST_SERVICES";

/** Asks the process of the test run for a service; the first who asks has it started. */
export async function askSharedService(name: ServiceName): Promise<SharedService> {
  const address = process.env[SERVICES_VARIABLE];
  if (!address) {
    throw new Error(
      `Shared ${name} is there in tests under the preset @mythic/testing only. Elsewhere set TEST_REDIS_URL or TEST_MONGODB_URL.`,
    );
  }
  const response = await fetch(`${address}/${name}`);
  const service: SharedService = JSON.parse(await response.text());
  return service;
}

/** Has the process of the test run say it once for all test files; says it itself where there is none. */
export async function tellNotRun(reason: string): Promise<void> {
  const line = `MongoDB tests were not run: ${reason.replaceAll(/\s+/g, " ")}\n`;
  const address = process.env[SERVICES_VARIABLE];
  if (address) await fetch(address, { method: "POST", body: line });
  else process.stderr.write(line);
}

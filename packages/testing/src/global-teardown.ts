import { SERVICES_VARIABLE } from "./shared-services.ts";

/** Jest calls it once after all test files of a workspace. */
export default async function tearDown(): Promise<void> {
  const address = process.env[SERVICES_VARIABLE];
  if (address) await fetch(address, { method: "DELETE" });
}

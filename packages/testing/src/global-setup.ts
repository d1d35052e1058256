import { openServiceHost } from "./service-host.ts";
import { SERVICES_VARIABLE } from "./shared-services.ts";

/** Jest calls it once before all test files of a workspace; the variable reaches the processes that run them. */
export default async function setUp(): Promise<void> {
  const { address } = await openServiceHost();
  process.env[SERVICES_VARIABLE] = address;
}

import { join } from "node:path";

/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": "@mythic/testing/strip-types" },
  globalSetup: join(import.meta.dirname, "src/global-setup.ts"),
  globalTeardown: join(import.meta.dirname, "src/global-teardown.ts"),
  coverageProvider: "v8",
  // A container that is started for the first time takes half of it on a busy machine.
  testTimeout: 60_000,
  // Most of what tests do is wait for servers and processes.
  maxWorkers: 2,
};

/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": "@mythic/testing/strip-types" },
  coverageProvider: "v8",
  testTimeout: 30_000,
};

import { stripTypeScriptTypes } from "node:module";

/** Runs tests on exactly the code that production runs: types blanked out, nothing compiled. */
export default {
  process: (source) => ({ code: stripTypeScriptTypes(source) }),
};

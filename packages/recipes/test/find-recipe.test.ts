import { expect, test } from "@jest/globals";
import { findRecipe, RECIPE_NAMES } from "../src/index.ts";

test("every listed recipe is found by its name, and nothing else is", () => {
  expect(RECIPE_NAMES).toEqual(["summary"]);
  expect(RECIPE_NAMES.map((name) => findRecipe(name)?.name)).toEqual([...RECIPE_NAMES]);
  expect(findRecipe("Summary")).toBeNull();
  expect(findRecipe("toString")).toBeNull();
});

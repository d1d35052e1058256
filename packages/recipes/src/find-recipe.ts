import type { Recipe } from "./recipe.ts";
import { summary } from "./summary/summary.ts";

const RECIPES: readonly Recipe[] = [summary];

/** The names that a run may ask for. */
export const RECIPE_NAMES: readonly string[] = RECIPES.map(({ name }) => name);

/** The recipe of that name, or null. */
export function findRecipe(name: string): Recipe | null {
  return RECIPES.find((recipe) => recipe.name === name) ?? null;
}

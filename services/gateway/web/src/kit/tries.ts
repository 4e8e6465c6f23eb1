import { Refused } from "../api/problems";
import type { Key, Values } from "../words/index.svelte";

/** What is said below a code that was refused: how many tries are left, if the API says it; null: it was not refused. */
export function refusalOf(error: unknown): { word: Key; values: Values } | null {
  if (!(error instanceof Refused) || error.slug !== "sign-in-refused") return null;
  const left = error.problem.values?.["tries_left"];
  if (typeof left !== "number") return { word: "signin.wrong_code", values: {} };
  return left ? { word: "signin.tries_left", values: { count: left } } : { word: "signin.no_tries_left", values: {} };
}

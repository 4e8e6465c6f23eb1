import createClient from "openapi-fetch";
import { Refused, Unreachable, type Problem } from "./problems";
import type { components, paths } from "./schema";

export { Refused, Unreachable, type Problem };

export type Schemas = components["schemas"];

/** The path of a visit, `/as/<grant>`, below which one of the company's people sees a customer's portal; else empty. */
export const base = /^\/as\/[0-9a-f-]{36}(?=\/|$)/.exec(location.pathname)?.[0] ?? "";
export const visiting = base !== "";

export const api = createClient<paths>({ baseUrl: base, headers: { Accept: "application/json", "Paidup-CSRF": "1" } });

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** What was asked for. Throws Refused or Unreachable. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  let found: Answer<T>;
  try {
    found = await answer;
  } catch (error) {
    throw new Unreachable(String(error));
  }
  if (found.response.ok) return found.data as T;
  const problem = found.error as Problem | undefined;
  if (problem?.type) throw new Refused(problem);
  throw new Unreachable(`the answer had the status ${found.response.status}`);
}

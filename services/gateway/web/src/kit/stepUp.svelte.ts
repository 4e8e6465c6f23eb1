import { api, ask, Refused, type Schemas } from "../api/client";
import { queries, SESSION } from "../api/queries";

type Asked = { proved: () => void; given_up: (why: unknown) => void };
let asked = $state.raw<Asked | null>(null);

/** The question that is open: who asked it goes on when it is answered. */
export const question = (): Asked | null => asked;

/** The person closed the question. What was wanted is not done; no error is shown for it. */
export class GivenUp extends Error {}

/** Do something that needs a fresh proof of who is there. Where it is missing, a code is asked for, and it is done again. */
export async function proven<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Refused && error.slug === "step-up-required")) throw error;
  }
  await new Promise<void>((proved, given_up) => (asked = { proved, given_up })).finally(() => (asked = null));
  return act();
}

export const sendCode = (): Promise<unknown> => ask(api.POST("/v1/session/step-up", { body: {} }));

/** With the code of the mail a fresh session replaces this one. */
export async function prove(code: string): Promise<void> {
  const session = await ask(api.POST("/v1/session/step-up", { body: { code } }));
  queries.setQueryData(SESSION, session as Schemas["SessionView"]);
}

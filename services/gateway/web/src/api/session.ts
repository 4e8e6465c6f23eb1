import { createQuery } from "@tanstack/svelte-query";
import { api, ask, Refused, type Schemas } from "./client";
import { ownedBy } from "./person";
import { queries, SESSION } from "./queries";

export type Session = Schemas["SessionView"];

/** Null: nobody is signed in. */
export async function readSession(): Promise<Session | null> {
  try {
    return mine(await ask(api.GET("/v1/session")));
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 401) return null;
    throw error;
  }
}

export const sessionQuery = () => createQuery(() => ({ queryKey: SESSION, queryFn: readSession, staleTime: 60_000 }));

/** After signing in: nothing of the person before is kept. */
export function entered(session: Session): void {
  queries.clear();
  queries.setQueryData(SESSION, mine(session));
}

/** What another person began in this tab is not gone on with. */
function mine(session: Session): Session {
  ownedBy(session.contact?.id ?? session.staff?.id ?? "");
  return session;
}

export async function leave(): Promise<void> {
  await ask(api.DELETE("/v1/session"));
  queries.clear();
}

/** The customer whose portal this is. */
export function customerOf(): string {
  const session = queries.getQueryData<Session | null>(SESSION);
  if (!session?.customer) throw new Error("no customer's portal is open");
  return session.customer.id;
}

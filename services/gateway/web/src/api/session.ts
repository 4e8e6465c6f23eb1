import { createQuery } from "@tanstack/svelte-query";
import { api, ask, Refused, type Schemas } from "./client";
import { anybodyWasHere, speakTo } from "../words/index.svelte";
import { ownedBy } from "./person";
import { queries, SESSION } from "./queries";

export type Session = Schemas["SessionView"];

/** Null: nobody is signed in. */
export async function readSession(): Promise<Session | null> {
  try {
    return await mine(await ask(api.GET("/v1/session")));
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 401) return null;
    throw error;
  }
}

const QUERY = { queryKey: SESSION, queryFn: readSession, staleTime: 60_000 };

export const sessionQuery = () => createQuery(() => QUERY);

/** Who is signed in, asked beside the first scripts. Where nobody ever was, the pages of signing in need no answer. */
export function askEarly(): void {
  if (anybodyWasHere()) void queries.prefetchQuery(QUERY);
}

/** After signing in: nothing of the person before is kept. */
export async function entered(session: Session): Promise<void> {
  const now = await mine(session);
  queries.clear();
  queries.setQueryData(SESSION, now);
}

/** What another person began in this tab is not gone on with, and the pages are in this person's language. */
async function mine(session: Session): Promise<Session> {
  const person = session.contact ?? session.staff;
  ownedBy(person?.id ?? "");
  if (person) await speakTo(person.language);
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

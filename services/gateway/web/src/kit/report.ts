import { visiting } from "../api/client";
import { queries, SESSION } from "../api/queries";
import type { Session } from "../api/session";
import { here, isActive, p } from "../routes";

/** The address of a ticket about what went wrong just now, filled in; null: the reader is no customer's contact. */
export function ticketAbout(request?: string): string | null {
  const contact = queries.getQueryData<Session | null>(SESSION)?.contact;
  if (visiting || !contact || isActive("/support/new")) return null;
  const facts = { at: new Date().toISOString(), page: here(), ...(request && { request }) };
  return `${p("/support/new")}?${new URLSearchParams(facts).toString()}`;
}

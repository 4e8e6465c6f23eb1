import type { Schemas } from "../../api/client";
import { t } from "../../words/index.svelte";

type Ticket = Pick<Schemas["TicketView"], "kind" | "subject" | "invoice_number">;

/** What a ticket is about. Questions and disputes were named by the system: their names are in the reader's language. */
export function subjectOf({ kind, subject, invoice_number: number }: Ticket): string {
  if (!number || (kind !== "question" && kind !== "dispute")) return subject;
  return t(`support.subject_${kind}`, { number });
}

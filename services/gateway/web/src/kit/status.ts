import type { Schemas } from "../api/client";
import type { Key } from "../words/index.svelte";
import type { IconName } from "./Icon.svelte";

type Invoice = Pick<
  Schemas["InvoiceSummary"],
  "status" | "overdue" | "balance_minor" | "total_minor" | "pending_minor" | "settled_minor" | "disputed_minor"
>;
type Look = { tone: string; icon: IconName; word: Key; days: number };

/** What the status of an invoice is called. `days` until it is due; negative when that day is over. */
export function statusOf(invoice: Invoice, days: number): Look {
  if (invoice.status === "open") {
    return invoice.overdue
      ? { tone: "overdue", icon: "overdue", word: "invoices.overdue_days", days: Math.abs(days) }
      : { tone: "", icon: "due", word: "invoices.due", days: Math.max(days, 0) };
  }
  const looks: Record<Exclude<Invoice["status"], "open">, Omit<Look, "days">> = {
    draft: { tone: "", icon: "file", word: "invoices.draft" },
    in_progress: { tone: "progress", icon: "progress", word: "invoices.in_progress" },
    paid: { tone: "paid", icon: "paid", word: "invoices.paid" },
    void: { tone: "", icon: "x", word: "invoices.void" },
    uncollectible: { tone: "", icon: "x", word: "invoices.uncollectible" },
  };
  return { ...looks[invoice.status], days: 0 };
}

/** Partly paid is a tag, never the status. */
export function tagsOf(invoice: Invoice): { tone: string; icon: IconName; word: Key; minor: number }[] {
  if (invoice.status !== "open" && invoice.status !== "in_progress") return [];
  const tags: { tone: string; icon: IconName; word: Key; minor: number }[] = [];
  if (invoice.disputed_minor > 0)
    tags.push({ tone: "dispute", icon: "flag", word: "invoices.in_dispute", minor: invoice.disputed_minor });
  if (invoice.status !== "open") return tags;
  if (invoice.settled_minor > 0)
    tags.push({ tone: "partial", icon: "partial", word: "invoices.partially_paid", minor: invoice.settled_minor });
  if (invoice.pending_minor > 0)
    tags.push({ tone: "progress", icon: "progress", word: "invoices.awaiting", minor: invoice.pending_minor });
  return tags;
}

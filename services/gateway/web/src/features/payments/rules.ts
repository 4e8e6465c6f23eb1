import type { IconName } from "../../kit/Icon.svelte";
import { t, type Key } from "../../words/index.svelte";
import { nameOf } from "../methods/rules";
import type { Payment, Wanted } from "./queries";

export const SHOWN = ["all", "under_way", "confirmed", "unsuccessful"] as const;
export type Shown = (typeof SHOWN)[number];

const WANTED: Record<Shown, Wanted> = {
  all: {},
  under_way: { reconciliation: "waiting" },
  confirmed: { reconciliation: "matched" },
  unsuccessful: { status: "declined" },
};

export const wantedOf = (shown: Shown): Wanted => WANTED[shown];

type State = { tone: string; icon: IconName; word: Key };

/** It was recorded in error: no money came, so none went back. */
export const voided = (payment: Pick<Payment, "reason">): boolean => payment.reason === "voided";

/** A payment counts as confirmed only when the provider's own record agrees with it. */
export function stateOf(payment: Pick<Payment, "status" | "reconciliation" | "reason">): State {
  if (voided(payment)) return { tone: "", icon: "x", word: "payments.voided" };
  switch (payment.status) {
    case "succeeded":
      return payment.reconciliation === "matched"
        ? { tone: "paid", icon: "paid", word: "payments.confirmed" }
        : { tone: "progress", icon: "progress", word: "payments.awaiting" };
    case "requires_action":
      return { tone: "partial", icon: "clock", word: "payments.your_bank" };
    case "declined":
      return { tone: "overdue", icon: "x", word: "payments.declined" };
    case "cancelled":
      return { tone: "", icon: "x", word: "payments.cancelled" };
    case "expired":
      return { tone: "", icon: "x", word: "payments.expired" };
    default:
      return { tone: "progress", icon: "progress", word: "payments.submitted" };
  }
}

export const ended = (payment: Pick<Payment, "status">): boolean =>
  ["declined", "cancelled", "expired"].includes(payment.status);

/** Why somebody may need help with it: it was not confirmed in time, or nothing was charged; null: all is well. */
export function troubleOf(payment: Pick<Payment, "status" | "reconciliation">): "late" | "failed" | null {
  if (payment.reconciliation === "exception" || payment.reconciliation === "mismatch") return "late";
  return payment.status === "declined" || payment.status === "expired" ? "failed" : null;
}

/** How the money came: the method, or that the company received it. */
export const wayOf = (payment: Pick<Payment, "way" | "method">): string =>
  payment.way === "receive" ? t("payments.received") : payment.method ? nameOf(payment.method) : t("payments.credit");

type Part = { invoice_id: string; amount_minor: number };

/** What a payment pays of one invoice: by the method, or by credit. */
export const partOf = (
  payment: { allocations: readonly Part[]; credit_allocations: readonly Part[] },
  invoiceId: string,
): number =>
  [...payment.allocations, ...payment.credit_allocations]
    .filter((part) => part.invoice_id === invoiceId)
    .reduce((sum, part) => sum + part.amount_minor, 0);

const MOST_AGAIN = 50; // ids in an address

/** The query of TO PAY with the invoices of a payment that failed already ticked; without them when there are too many. */
export function payAgain({ currency, asked }: Pick<Payment, "currency" | "asked">): string {
  const ids = asked.map((part) => part.invoice_id);
  return `?currency=${currency}${ids.length && ids.length <= MOST_AGAIN ? `&invoice=${ids.join(",")}` : ""}`;
}

import type { Schemas } from "../../api/client";

export type Wish = Omit<Schemas["QuoteRequest"], "customer_id" | "method_id">;
/** What somebody chose on TO PAY: the ticked invoices, and the amounts that were edited. */
export type Ticked = Readonly<Record<string, number | null>>;

/** The sum of what is ticked, in minor units. */
export const sumOf = (ticked: Ticked, payable: Readonly<Record<string, number>>): number =>
  Object.entries(ticked).reduce((sum, [id, minor]) => sum + (minor ?? payable[id] ?? 0), 0);

export const wishOf = (ticked: Ticked, currency: string, use_credit: boolean): Wish => ({
  currency,
  use_credit,
  all: false,
  invoices: Object.entries(ticked).map(([invoice_id, amount_minor]) => ({ invoice_id, amount_minor })),
});

/** Why an edited amount can't be paid; null when it can. */
export function wrongAmount(minor: number | null, payable: number): "no_amount" | "nothing" | "too_much" | null {
  if (minor === null) return "no_amount";
  if (minor === 0) return "nothing";
  return minor > payable ? "too_much" : null;
}

/**
 * The Idempotency-Key of a payment. It follows from the quote and the answer about the surcharge, so that a double
 * click, a reload, a lost answer and a second tab all send the same request, and it counts once.
 */
export const keyOf = (quoteId: string, accepted: boolean): string => `portal-${quoteId}-${accepted ? "pay" : "cancel"}`;

/**
 * What this tab is about to pay. `quoteId`: the quote that Review shows. `sent`: the answer about the surcharge with
 * which the payment was sent, until its reply is here: after a reload the same is sent again, and it counts once.
 */
export type Paying = { wish: Wish; methodId?: string; quoteId?: string; sent?: boolean };

const KEY = "paidup.paying";

/** It stays in this tab from TO PAY to the payment's own page, over reloads; a tab that is copied has the same. */
export function keep(paying: Paying): void {
  sessionStorage.setItem(KEY, JSON.stringify(paying));
}

export function kept(): Paying | null {
  const text = sessionStorage.getItem(KEY);
  return text ? (JSON.parse(text) as Paying) : null;
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}

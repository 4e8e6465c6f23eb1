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

/** The answer about the surcharge: null where there is none to answer. */
export type Consent = boolean | null;

/**
 * The Idempotency-Key of a payment. It follows from the choice on TO PAY and the answer about the surcharge, so that a
 * double click, a reload, a lost answer, a renewed quote and a copied tab all send the same key, and it counts once.
 */
export const keyOf = (once: string, consent: Consent): string =>
  `portal-${once}-${consent === false ? "cancel" : "pay"}`;

/**
 * What this tab is about to pay. `once`: the id of the choice on TO PAY, which is paid once. `quoteId`: the quote that
 * Review shows. `sent`: the answer about the surcharge with which that quote was confirmed. It stays until the outcome
 * is known; so long, nothing else is quoted or sent.
 */
export type Paying = { wish: Wish; once: string; methodId?: string; quoteId?: string; sent?: Consent };
export type Confirmation = { once: string; quoteId: string; consent: Consent };

/** The confirmation whose outcome is not known yet; null if there is none. */
export const inDoubt = (paying: Paying | null): Confirmation | null =>
  paying?.quoteId !== undefined && paying.sent !== undefined
    ? { once: paying.once, quoteId: paying.quoteId, consent: paying.sent }
    : null;

const LAST_MOMENTS = 5_000; // ms

/** Whether a quote can be shown for a method: it is of that method, and holds a moment longer. */
export const stillShows = (
  quote: { method_id: string | null; expires_at: string },
  methodId: string,
  now: number,
): boolean => quote.method_id === methodId && msLeft(quote, now) > 0;

/** How long Review shows a quote before it asks for another, in ms. */
export const msLeft = (quote: { expires_at: string }, now: number): number =>
  new Date(quote.expires_at).getTime() - LAST_MOMENTS - now;

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

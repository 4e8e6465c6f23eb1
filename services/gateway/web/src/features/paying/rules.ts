import type { Schemas } from "../../api/client";
import { Refused, undecided } from "../../api/problems";

export type Quote = Schemas["QuoteView"];
export type Wish = Omit<Schemas["QuoteRequest"], "customer_id" | "method_id">;
/** What somebody chose on TO PAY: the ticked invoices, and the amounts that were edited. */
export type Ticked = Readonly<Record<string, number | null>>;

/** The sum of what is ticked, in minor units. */
export const sumOf = (ticked: Ticked, payable: Readonly<Record<string, number>>): number =>
  Object.entries(ticked).reduce((sum, [id, minor]) => sum + (minor ?? payable[id] ?? 0), 0);

type Disputed = { payable_now_minor: number; disputed_minor: number };

/** What an invoice begins with when it is ticked: without what is in dispute, where anything is left; null: all of it. */
export function startOf(invoice: Disputed): number | null {
  const rest = invoice.payable_now_minor - invoice.disputed_minor;
  return invoice.disputed_minor > 0 && rest > 0 ? rest : null;
}

/** Whether all that can be paid of it is in dispute: it is paid only by who ticks it. */
export const allDisputed = (invoice: Disputed): boolean =>
  invoice.disputed_minor > 0 && invoice.disputed_minor >= invoice.payable_now_minor;

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

/** An invoice on Review, in minor units. `paid`: by the charge and by credit; `credit`: of that, by credit. */
export type PaidInvoice = Pick<
  Schemas["QuotedPart"],
  "invoice_id" | "number" | "due_on" | "payable_now_minor" | "stays_open_minor" | "disputed_minor"
> & { paid: number; credit: number };

type Parts = Pick<Quote, "allocations" | "credit_allocations">;

/** The invoices of a quote, each once, in the order in which they are paid: credit pays first. */
export function invoicesOf(quote: Parts): PaidInvoice[] {
  const found = new Map<string, PaidInvoice>();
  const add = (part: Schemas["QuotedPart"], credit: boolean): void => {
    const before = found.get(part.invoice_id) ?? { ...part, paid: 0, credit: 0 };
    const minor = part.amount_minor;
    found.set(part.invoice_id, { ...before, paid: before.paid + minor, credit: before.credit + (credit ? minor : 0) });
  };
  for (const part of quote.credit_allocations) add(part, true);
  for (const part of quote.allocations) add(part, false);
  return [...found.values()];
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

/**
 * A new choice on TO PAY. While the outcome of the one before is not known, both have one `once`, so that at most one of
 * them is paid: the confirmation before may still be on its way.
 */
export const choose = (wish: Wish, before: Paying | null): Paying => ({
  wish,
  once: inDoubt(before)?.once ?? crypto.randomUUID(),
});

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

const MADE = "paidup.made";

/** This payment was made from this tab. It is kept, so that Review leads to it when nothing is to be paid there. */
export const keepMade = (paymentId: string): void => sessionStorage.setItem(MADE, paymentId);

export const lastMade = (): string | null => sessionStorage.getItem(MADE);

const AT_BANK = "paidup.bank";

/** Somebody goes to the bank's page with this payment. It is kept in this tab, and shown to who comes back. */
export const leaveForBank = (paymentId: string): void => sessionStorage.setItem(AT_BANK, paymentId);

/** The payment with which somebody went to the bank from this tab. */
export const atBank = (): string | null => sessionStorage.getItem(AT_BANK);

/**
 * What stands on Review. `methodId`: of whose quote. `wants`: Pay was pressed while a quote was on its way, and the
 * button said this total. `sending`: after `failed` it may not be known whether the payment was made (see `inDoubt`).
 */
export type Review = Readonly<{
  paying: Paying;
  methodId: string | undefined;
  shown: Quote | null;
  quoting: boolean;
  wants: number | null;
  sending: "not" | "waits" | "failed";
  asking: boolean; // about the surcharge
  changed: boolean; // something else can be paid now than what was shown
  stopped: boolean; // without network nothing was sent
  notQuoted: unknown;
  notPaid: unknown;
}>;

type Usable = Pick<Schemas["MethodView"], "id" | "is_default">;
export type Happened =
  | { what: "methods"; usable: readonly Usable[] } // they were read
  | { what: "chosen"; method: string }
  | { what: "expires" | "quote_again" | "again" } // `again`: after a confirmation without success
  | { what: "quoted"; method: string; quote: Quote }
  | { what: "not_quoted"; method: string; error: unknown }
  | { what: "pressed"; offline: boolean } // Pay
  | { what: "answered"; accepted: boolean; offline: boolean }
  | { what: "paid"; payment: Pick<Schemas["PaymentView"], "id" | "next_action_url"> }
  | { what: "not_paid"; error: unknown };

/** What is to be done then. `arrive`: at the payment; null: at the list of payments. `leave`: for the bank's page. */
export type Todo =
  | { do: "quote"; method: string }
  | { do: "send"; of: Confirmation }
  | { do: "arrive"; payment: string | null }
  | { do: "leave"; payment: string; url: string };
type Next = readonly [Review, Todo | null];

export const begin = (paying: Paying): Review => ({
  paying,
  methodId: paying.methodId,
  shown: null,
  quoting: false,
  wants: null,
  sending: "not",
  asking: false,
  changed: false,
  stopped: false,
  notQuoted: null,
  notPaid: null,
});

/** What Review shows after something happened, and what is to be done. One confirmation is under way at a time. */
export function next(now: Review, event: Happened): Next {
  const doubt = inDoubt(now.paying);
  switch (event.what) {
    case "methods": {
      const usable = event.usable;
      const first = now.paying.methodId ?? (usable.find((one) => one.is_default) ?? usable[0])?.id;
      return !first || now.shown || now.quoting || now.notQuoted ? [now, null] : quoteBy(now, first);
    }
    case "chosen":
      return doubt ? [now, null] : quoteBy(now, event.method);
    case "expires":
      return doubt || !now.methodId ? [now, null] : quoteBy(now, now.methodId);
    case "quote_again":
      return now.methodId ? quoteBy(now, now.methodId) : [now, null];
    case "quoted":
      if (event.quote.payment_id) return [now, { do: "arrive", payment: event.quote.payment_id }];
      // Else something was pressed meanwhile: this quote is not what is wanted any more.
      return event.method === now.methodId && now.sending === "not" ? shownAnew(now, event.quote) : [now, null];
    case "not_quoted": {
      if (event.method !== now.methodId) return [now, null];
      const paying = undecided(event.error) ? now.paying : { ...now.paying, quoteId: undefined };
      return [{ ...now, paying, quoting: false, wants: null, notQuoted: event.error }, null];
    }
    case "pressed":
      if (now.sending === "waits") return [now, null];
      if (doubt) return sendOn(now, doubt);
      if (!now.shown) return [now, null];
      if (now.quoting) return [{ ...now, wants: now.shown.total_minor }, null];
      if (now.shown.surcharge_minor) return [{ ...now, asking: true }, null];
      return send(now, now.shown, null, event.offline);
    case "answered":
      if (!now.asking || !now.shown) return [now, null];
      return send({ ...now, asking: false }, now.shown, event.accepted, event.offline);
    case "again":
      if (now.sending === "waits") return [now, null];
      if (doubt) return sendOn(now, doubt);
      return now.methodId ? quoteBy(now, now.methodId) : [now, null];
    case "paid": {
      const { id, next_action_url: url } = event.payment;
      return [now, url ? { do: "leave", payment: id, url } : { do: "arrive", payment: id }];
    }
    case "not_paid":
      return notPaid({ ...now, sending: "failed", notPaid: event.error }, event.error);
  }
}

/** Another choice takes back that Pay was pressed. */
const quoteBy = (now: Review, method: string): Next => [
  {
    ...now,
    methodId: method,
    quoting: true,
    wants: null,
    sending: "not",
    changed: false,
    notQuoted: null,
    notPaid: null,
  },
  { do: "quote", method },
];

function show(now: Review, quote: Quote): Review {
  const paying = { ...now.paying, quoteId: quote.id, methodId: quote.method_id ?? undefined, sent: undefined };
  return { ...now, paying, shown: quote, quoting: false, wants: null, notQuoted: null };
}

/** Whoever pressed Pay, or was asked about the surcharge, goes on only with the total that they saw. */
function shownAnew(before: Review, quote: Quote): Next {
  const now = show(before, quote);
  if (before.wants !== null && quote.surcharge_minor) return [{ ...now, asking: true }, null];
  if (before.wants === quote.total_minor) return send(now, quote, null, false);
  const other = before.asking && before.shown?.total_minor !== quote.total_minor;
  return [other ? { ...now, asking: false, changed: true } : now, null];
}

function send(now: Review, quote: Quote, consent: Consent, offline: boolean): Next {
  if (offline) return [{ ...now, stopped: true }, null];
  const paying = { ...now.paying, quoteId: quote.id, sent: consent };
  return sendOn({ ...now, paying }, { once: paying.once, quoteId: quote.id, consent });
}

const sendOn = (now: Review, of: Confirmation): Next => [
  { ...now, sending: "waits", quoting: false, stopped: false, wants: null, notPaid: null },
  { do: "send", of },
];

function notPaid(now: Review, error: unknown): Next {
  if (undecided(error) || !(error instanceof Refused)) return [now, null]; // it may have been made: `sent` stays
  const { payment_id, new_quote } = error.problem;
  const then = { ...now, paying: { ...now.paying, sent: undefined, quoteId: undefined } };
  if (payment_id) return [then, { do: "arrive", payment: payment_id }];
  if (error.slug === "idempotency-key-reused") return [then, { do: "arrive", payment: null }]; // by another tab's quote
  return [new_quote ? { ...show(then, new_quote), changed: true } : then, null];
}

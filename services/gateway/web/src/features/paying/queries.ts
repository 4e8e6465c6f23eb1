import { createQuery } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { insist } from "../../api/once";
import { undecided } from "../../api/problems";
import { customerOf } from "../../api/session";
import { inDoubt, keyOf, stillShows, type Confirmation, type Paying, type Quote, type Wish } from "./rules";

const MOST = 100; // rows on TO PAY; PAY ALL and an amount reach all

/** What can be paid in a currency, the oldest first. */
export const payableQuery = (currency: () => string | undefined) =>
  createQuery(() => ({
    queryKey: ["invoices", "payable", currency()],
    enabled: currency() !== undefined,
    queryFn: () =>
      ask(
        api.GET("/v1/invoices", {
          params: {
            query: { customer_id: customerOf(), tab: "open", sort: "due_on", limit: MOST, currency: currency() },
          },
        }),
      ),
  }));

const quote = (wish: Wish, method_id: string): Promise<Quote> =>
  ask(
    api.POST("/v1/quotes", {
      body: { ...wish, customer_id: customerOf(), method_id },
      params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    }),
  );

/** What each method would cost, without a quote. */
export const optionsQuery = (wish: Wish | undefined) =>
  createQuery(() => ({
    queryKey: ["invoices", "options", wish],
    enabled: wish !== undefined,
    queryFn: () => ask(api.POST("/v1/quotes/options", { body: { ...wish!, customer_id: customerOf() } })),
  }));

/** The quote that this tab has, whether or not it was used meanwhile; a new one where it no longer shows. */
export async function quoteFor(paying: Paying, method: string): Promise<Quote> {
  const found = paying.quoteId ? await quoteOf(paying.quoteId) : null;
  return found && (found.payment_id || stillShows(found, method, Date.now())) ? found : quote(paying.wish, method);
}

export const quoteOf = (id: string): Promise<Quote> =>
  ask(api.GET("/v1/quotes/{quote_id}", { params: { path: { quote_id: id } } }));

/** The payment of a confirmation whose answer was lost; null if none was made. */
export async function madeOf(paying: Paying | null): Promise<string | null> {
  const doubt = inDoubt(paying);
  if (!doubt) return null;
  try {
    return (await quoteOf(doubt.quoteId)).payment_id ?? null;
  } catch (error) {
    if (undecided(error)) throw error;
    return null;
  }
}

/**
 * Confirm a quote. `of.consent`: false declines the surcharge, which keeps the payment as unsuccessful. Where it is not
 * known whether the payment was made, the same request is sent again under the same key, so that it counts once.
 */
export const pay = (of: Confirmation): Promise<Schemas["PaymentView"]> => insist(() => send(of));

const send = ({ once, quoteId, consent }: Confirmation): Promise<Schemas["PaymentView"]> =>
  ask(
    api.POST("/v1/payments", {
      body: { quote_id: quoteId, accept_surcharge: consent, return_url: `${location.origin}/pay/return` },
      params: { header: { "Idempotency-Key": keyOf(once, consent) } },
    }),
  );

export const cancel = (paymentId: string): Promise<Schemas["PaymentView"]> =>
  ask(
    api.POST("/v1/payments/{payment_id}/cancel", {
      params: { path: { payment_id: paymentId }, header: { "Idempotency-Key": `portal-${paymentId}-stop` } },
    }),
  );

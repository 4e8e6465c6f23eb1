// The README's first payment, by the client that is generated from the API's document: `node walk.js URL KEY`.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const [url, key] = process.argv.slice(2);
assert(url && key);
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const mark = crypto.randomUUID().slice(0, 8);

function said<T>(answer: { data?: T; error?: unknown }): T {
  assert(answer.data !== undefined, JSON.stringify(answer.error));
  return answer.data;
}

const patience = 60_000;

/** The answer of a service, once it has heard of what the request names as seen. */
async function onceHeard<T>(ask: () => Promise<{ data?: T; error?: { type?: string } }>): Promise<T> {
  const end = Date.now() + patience;
  let answer = await ask();
  while (answer.error?.type?.endsWith(":not-yet-here")) {
    assert(Date.now() < end, JSON.stringify(answer.error));
    answer = await ask();
  }
  return said(answer);
}

const customer = said(await api.POST("/v1/customers", { body: { external_id: `TS-${mark}`, name: "Acme Corp" } }));
const invoice = said(
  await api.POST("/v1/invoices", {
    body: {
      customer_id: customer.id,
      number: `TS-${mark}`,
      currency: "USD",
      issued_on: "2026-01-05",
      due_on: "2026-02-04",
      lines: [{ description: "Subscription", quantity: 1, unit_price_minor: 10_000, tax_rate: "0.0825" }],
    },
  }),
);
const method = await onceHeard(() =>
  api.POST("/v1/customers/{customer_id}/payment-methods", {
    params: { path: { customer_id: customer.id }, header: { "Paidup-Seen": `${customer.id}:1` } },
    body: { provider_token: "pm_card_visa", accept_terms: true },
  }),
);
const quote = await onceHeard(() =>
  api.POST("/v1/quotes", {
    params: { header: { "Paidup-Seen": `${invoice.id}:1` } },
    body: { customer_id: customer.id, method_id: method.id, invoices: [{ invoice_id: invoice.id }] },
  }),
);
const body = { quote_id: quote.id, accept_surcharge: true };
const payment = said(await api.POST("/v1/payments", { params: { header: { "Idempotency-Key": mark } }, body }));
const again = await api.POST("/v1/payments", { params: { header: { "Idempotency-Key": `${mark}-2` } }, body });
assert(again.error && "new_quote" in { new_quote: undefined, ...again.error });
assert.equal((again.error as { payment_id?: string }).payment_id, payment.id);

const path = { invoice_id: invoice.id };
const end = Date.now() + patience;
let now = said(await api.GET("/v1/invoices/{invoice_id}", { params: { path } }));
while (now.status !== "paid") {
  assert(Date.now() < end, JSON.stringify(now));
  await new Promise((resolve) => setTimeout(resolve, 50));
  now = said(await api.GET("/v1/invoices/{invoice_id}", { params: { path } }));
}
const told = said(await api.GET("/v1/invoices/{invoice_id}/timeline", { params: { path } }));
assert.equal(told.items.at(-1)?.code, "paid");
console.log(now.number, now.status, quote.total_minor);

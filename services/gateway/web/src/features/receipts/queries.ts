import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { once } from "../../api/once";
import type { paths } from "../../api/schema";
import { pagesOf } from "../desk/queries";
import { underWay } from "./rules";

export type Payment = Schemas["PaymentView"];
export type Received = Schemas["ReceivedMoney"];
export type Receipt = Schemas["OfflineRequest"];
export type Wanted = NonNullable<paths["/v1/payments"]["get"]["parameters"]["query"]>;

const FOUND = 8; // customers below the search field
const MOST = 100; // invoices to choose of; "oldest first" reaches all
const EVERY = 1_500; // ms until the payment is read again while something is under way

export const foundQuery = (q: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "found", q()],
    enabled: q() !== "",
    queryFn: () => ask(api.GET("/v1/customers", { params: { query: { q: q(), limit: FOUND } } })),
    placeholderData: keepPreviousData,
  }));

/** What a customer can be paid for in a currency, the oldest first. */
export const openQuery = (customer: () => string | null, currency: () => string | null) =>
  createQuery(() => ({
    queryKey: ["desk", "open", customer(), currency()],
    enabled: customer() !== null && currency() !== null,
    queryFn: () =>
      ask(
        api.GET("/v1/invoices", {
          params: {
            query: { customer_id: customer()!, currency: currency()!, tab: "open", sort: "due_on", limit: MOST },
          },
        }),
      ),
  }));

/** The invoices that money would pay, before it is recorded or posted. */
export const previewQuery = (money: () => Received | null) =>
  createQuery(() => ({
    queryKey: ["desk", "preview", money()],
    enabled: money() !== null,
    staleTime: 0,
    queryFn: () => ask(api.POST("/v1/payments/offline/preview", { body: money()! })),
    placeholderData: keepPreviousData,
  }));

export const record = (receipt: Receipt): Promise<Payment> =>
  once("receipt", receipt, (body, key) =>
    ask(api.POST("/v1/payments/offline", { body, params: { header: { "Idempotency-Key": key } } })),
  );

export const paymentsQuery = (wanted: () => Wanted) =>
  pagesOf(
    () => ["payments", wanted()],
    (cursor) => ask(api.GET("/v1/payments", { params: { query: { ...wanted(), limit: 50, cursor } } })),
  );

export const paymentQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "payment", id()],
    queryFn: () => ask(api.GET("/v1/payments/{payment_id}", { params: { path: { payment_id: id() } } })),
    refetchInterval: ({ state }) => (state.data && underWay(state.data) ? EVERY : false),
  }));

export const timelineQuery = (id: () => string, as_of: () => unknown) =>
  createQuery(() => ({
    queryKey: ["desk", "timeline", id(), as_of()],
    queryFn: () => ask(api.GET("/v1/payments/{payment_id}/timeline", { params: { path: { payment_id: id() } } })),
    placeholderData: keepPreviousData,
  }));

export const refund = (payment_id: string, asked: Schemas["RefundRequest"]): Promise<Schemas["ReversalView"]> =>
  once(`refund-${payment_id}`, asked, (body, key) =>
    ask(
      api.POST("/v1/payments/{payment_id}/refunds", {
        body,
        params: { path: { payment_id }, header: { "Idempotency-Key": key } },
      }),
    ),
  );

export const voidReceipt = (payment_id: string, asked: Schemas["VoidRequest"]): Promise<Schemas["VoidView"]> =>
  once(`void-${payment_id}`, asked, (body, key) =>
    ask(
      api.POST("/v1/payments/{payment_id}/void", {
        body,
        params: { path: { payment_id }, header: { "Idempotency-Key": key } },
      }),
    ),
  );

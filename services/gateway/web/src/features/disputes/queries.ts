import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { once } from "../../api/once";
import { queries } from "../../api/queries";
import type { paths } from "../../api/schema";
import type { Ticket } from "../support/queries";

export type Dispute = Schemas["DisputeView"];
export type NewDispute = Schemas["NewDispute"];
export type Decision = "review" | "accept" | "reject" | "withdraw";
export type Wanted = NonNullable<paths["/v1/disputes"]["get"]["parameters"]["query"]>;

export const disputesQuery = (wanted: () => Wanted) =>
  createQuery(() => ({
    queryKey: ["disputes", "list", wanted()],
    queryFn: () => ask(api.GET("/v1/disputes", { params: { query: { limit: 50, ...wanted() } } })),
    placeholderData: keepPreviousData,
  }));

export const categoriesQuery = () =>
  createQuery(() => ({
    queryKey: ["dispute-categories"],
    queryFn: () => ask(api.GET("/v1/disputes/categories")),
    staleTime: Infinity,
  }));

export const creditNotesQuery = (customer_id: () => string) =>
  createQuery(() => ({
    queryKey: ["credit-notes", customer_id()],
    queryFn: () =>
      ask(api.GET("/v1/customers/{customer_id}/credit-notes", { params: { path: { customer_id: customer_id() } } })),
  }));

/** What `once` keeps of a dispute until its answer is known. */
export const disputeOf = (invoice_id: string): string => `dispute-${invoice_id}`;

export const raise = (invoice_id: string, dispute: NewDispute): Promise<Ticket> =>
  once(disputeOf(invoice_id), dispute, (body, key) =>
    ask(
      api.POST("/v1/invoices/{invoice_id}/disputes", {
        body,
        params: { path: { invoice_id }, header: { "Idempotency-Key": key } },
      }),
    ),
  );

/** A second request changes nothing, so that a lost answer may be asked for again. */
export function decide(dispute_id: string, what: Decision, text: string): Promise<Dispute> {
  const sent = { params: { path: { dispute_id } }, body: text ? { text } : undefined };
  if (what === "review") return ask(api.POST("/v1/disputes/{dispute_id}/review", sent));
  if (what === "accept") return ask(api.POST("/v1/disputes/{dispute_id}/accept", sent));
  if (what === "reject") return ask(api.POST("/v1/disputes/{dispute_id}/reject", sent));
  return ask(api.POST("/v1/disputes/{dispute_id}/withdraw", sent));
}

/** Read anew what a dispute changes. */
export const readAnew = (): Promise<unknown> =>
  Promise.all(
    ["disputes", "tickets", "invoices", "summary"].map((key) => queries.invalidateQueries({ queryKey: [key] })),
  );

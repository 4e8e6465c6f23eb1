import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask } from "../../api/client";
import type { paths } from "../../api/schema";
import { customerOf } from "../../api/session";

export type Wanted = Omit<NonNullable<paths["/v1/invoices"]["get"]["parameters"]["query"]>, "customer_id">;

export const invoicesQuery = (wanted: () => Wanted) =>
  createQuery(() => ({
    queryKey: ["invoices", "list", wanted()],
    queryFn: () => ask(api.GET("/v1/invoices", { params: { query: { ...wanted(), customer_id: customerOf() } } })),
    placeholderData: keepPreviousData,
  }));

export const countsQuery = (wanted: () => Pick<Wanted, "status" | "currency" | "age" | "q">) =>
  createQuery(() => ({
    queryKey: ["invoices", "counts", wanted()],
    queryFn: () =>
      ask(api.GET("/v1/invoices/counts", { params: { query: { ...wanted(), customer_id: customerOf() } } })),
    placeholderData: keepPreviousData,
  }));

export const invoiceQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["invoices", "one", id()],
    queryFn: () => ask(api.GET("/v1/invoices/{invoice_id}", { params: { path: { invoice_id: id() } } })),
  }));

export const timelineQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["invoices", "timeline", id()],
    queryFn: () => ask(api.GET("/v1/invoices/{invoice_id}/timeline", { params: { path: { invoice_id: id() } } })),
  }));

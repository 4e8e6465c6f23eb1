import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import type { paths } from "../../api/schema";
import { pagesOf } from "./queries";

type Invoices = NonNullable<paths["/v1/invoices"]["get"]["parameters"]["query"]>;
export type Customer = Schemas["Customer"];

/** Who the customer is: name, number, address. What it owes is `customerQuery`. */
export const recordQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "record", id()],
    enabled: id() !== "",
    queryFn: () => ask(api.GET("/v1/customers/{customer_id}", { params: { path: { customer_id: id() } } })),
  }));

export const addCustomer = (body: Schemas["CreateCustomer"]): Promise<Customer> =>
  ask(api.POST("/v1/customers", { body }));

export const changeCustomer = (customer_id: string, body: Schemas["ChangeCustomer"]): Promise<Customer> =>
  ask(api.PATCH("/v1/customers/{customer_id}", { params: { path: { customer_id } }, body }));

export const eraseContact = (contact_id: string): Promise<unknown> =>
  ask(api.DELETE("/v1/contacts/{contact_id}", { params: { path: { contact_id } } }));

export const visitsQuery = (id: () => string) =>
  pagesOf(
    () => ["visits", id()],
    (cursor) =>
      ask(
        api.GET("/v1/customers/{customer_id}/visits", {
          params: { path: { customer_id: id() }, query: { limit: 50, cursor } },
        }),
      ),
  );

export const invoicesQuery = (wanted: () => Invoices) =>
  createQuery(() => ({
    queryKey: ["desk", "invoices", wanted()],
    queryFn: () => ask(api.GET("/v1/invoices", { params: { query: { ...wanted(), limit: 50 } } })),
    placeholderData: keepPreviousData,
  }));

export const countsQuery = (wanted: () => { customer_id: string; q: string | undefined }) =>
  createQuery(() => ({
    queryKey: ["desk", "counts", wanted()],
    queryFn: () => ask(api.GET("/v1/invoices/counts", { params: { query: wanted() } })),
    placeholderData: keepPreviousData,
  }));

const one = (invoice_id: string) => ({ params: { path: { invoice_id } } });

export const invoiceQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "invoice", id()],
    queryFn: () => ask(api.GET("/v1/invoices/{invoice_id}", one(id()))),
  }));

export const timelineQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "timeline", id()],
    queryFn: () => ask(api.GET("/v1/invoices/{invoice_id}/timeline", one(id()))),
  }));

/** A second request answers with the invoice as it is, so that a lost answer may be asked for again. */
export const issueInvoice = (id: string): Promise<Schemas["InvoiceDetail"]> =>
  ask(api.POST("/v1/invoices/{invoice_id}/issue", one(id)));

export const voidInvoice = (id: string, reason: string): Promise<Schemas["InvoiceDetail"]> =>
  ask(api.POST("/v1/invoices/{invoice_id}/void", { ...one(id), body: { reason } }));

/** Mail an invoice to its customer's contacts, with a fresh link. */
export const mailAgain = (customer_id: string, invoice_id: string): Promise<unknown> =>
  ask(api.POST("/v1/payer-links", { body: { customer_id, invoice_id, mail: true } }));

/** The same number with the same body is the same invoice, so that a double click or a lost answer makes one. */
export const makeInvoice = (body: Schemas["IssueInvoice"]): Promise<Schemas["InvoiceDetail"]> =>
  ask(api.POST("/v1/invoices", { body }));

import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import type { paths } from "../../api/schema";
import { customerOf } from "../../api/session";

export type Payment = Schemas["PaymentView"];
export type Wanted = Omit<NonNullable<paths["/v1/payments"]["get"]["parameters"]["query"]>, "customer_id">;

export const paymentsQuery = (wanted: () => Wanted) =>
  createQuery(() => ({
    queryKey: ["payments", "list", wanted()],
    queryFn: () => ask(api.GET("/v1/payments", { params: { query: { ...wanted(), customer_id: customerOf() } } })),
    placeholderData: keepPreviousData,
  }));

export const paymentQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["payments", "one", id()],
    enabled: id() !== "",
    queryFn: () => ask(api.GET("/v1/payments/{payment_id}", { params: { path: { payment_id: id() } } })),
  }));

export const timelineQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["payments", "timeline", id()],
    queryFn: () => ask(api.GET("/v1/payments/{payment_id}/timeline", { params: { path: { payment_id: id() } } })),
  }));

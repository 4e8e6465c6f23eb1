import { createQuery } from "@tanstack/svelte-query";
import { api, ask } from "../../api/client";

export const paymentQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["payments", "one", id()],
    queryFn: () => ask(api.GET("/v1/payments/{payment_id}", { params: { path: { payment_id: id() } } })),
  }));

export const timelineQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["payments", "timeline", id()],
    queryFn: () => ask(api.GET("/v1/payments/{payment_id}/timeline", { params: { path: { payment_id: id() } } })),
  }));

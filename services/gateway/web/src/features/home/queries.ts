import { createQuery } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { customerOf } from "../../api/session";

export type Notice = Schemas["AttentionItem"];

/** What the customer should do or know, the most urgent first. */
export const attentionQuery = () =>
  createQuery(() => ({
    queryKey: ["attention", customerOf()],
    queryFn: () =>
      ask(api.GET("/v1/customers/{customer_id}/attention", { params: { path: { customer_id: customerOf() } } })),
  }));

/** What happened lately, the newest first; read again with the summary, whose first key it has. */
export const activityQuery = () =>
  createQuery(() => ({
    queryKey: ["summary", customerOf(), "lately"],
    queryFn: () =>
      ask(api.GET("/v1/customers/{customer_id}/activity", { params: { path: { customer_id: customerOf() } } })),
  }));

import { createQuery } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { customerOf } from "../../api/session";

export type Method = Schemas["MethodView"];

/** The payment methods; with a currency, `usable` is about that currency. */
export const methodsQuery = (currency: () => string | undefined = () => undefined) =>
  createQuery(() => ({
    queryKey: ["methods", "list", currency() ?? ""],
    queryFn: () =>
      ask(
        api.GET("/v1/customers/{customer_id}/payment-methods", {
          params: { path: { customer_id: customerOf() }, query: { currency: currency() } },
        }),
      ),
  }));

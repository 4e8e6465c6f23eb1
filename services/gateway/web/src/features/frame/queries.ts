import { createQuery } from "@tanstack/svelte-query";
import { api, ask } from "../../api/client";
import { customerOf } from "../../api/session";
import { useToday } from "../../kit/say.svelte";

/** What the customer owes, in one answer: the strip on every page and Home show the same figures. */
export const summaryQuery = () =>
  createQuery(() => ({
    queryKey: ["summary", customerOf()],
    queryFn: async () => {
      const params = { path: { customer_id: customerOf() } };
      const found = await ask(api.GET("/v1/customers/{customer_id}/summary", { params }));
      useToday(found.as_of);
      return found;
    },
  }));

import { createInfiniteQuery, createQuery } from "@tanstack/svelte-query";
import { api, ask } from "../../api/client";
import { customerOf } from "../../api/session";

export const sessionsQuery = () =>
  createQuery(() => ({ queryKey: ["sessions"], queryFn: () => ask(api.GET("/v1/sessions")), staleTime: 0 }));

export const wishesQuery = () =>
  createQuery(() => ({ queryKey: ["mail-preferences"], queryFn: () => ask(api.GET("/v1/mail-preferences")) }));

/** Who looked at the customer's portal, the newest first. */
export const visitsQuery = () =>
  createInfiniteQuery(() => ({
    queryKey: ["visits"],
    queryFn: ({ pageParam }: { pageParam: string | undefined }) =>
      ask(
        api.GET("/v1/customers/{customer_id}/visits", {
          params: { path: { customer_id: customerOf() }, query: { cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  }));

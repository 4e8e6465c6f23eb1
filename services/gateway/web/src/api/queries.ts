import { QueryClient } from "@tanstack/svelte-query";
import { Refused } from "./client";

/** All that was read, until an event says that it changed (see live.ts). */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (count, error) => !(error instanceof Refused && error.problem.status < 500) && count < 2,
      retryDelay: (count) => 300 * 2 ** count,
    },
    mutations: { retry: false },
  },
});

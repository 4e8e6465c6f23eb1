import { MutationCache, notifyManager, QueryCache, QueryClient } from "@tanstack/svelte-query";
import { Refused, Unreachable } from "./client";
import { lost } from "./online.svelte";

/** That a request is under way shows before the next click: a double click counts once. */
notifyManager.setScheduler(queueMicrotask);

/** The key of who is signed in; see session.ts. */
export const SESSION = ["session"];

/** The session is over, whoever noticed it: the frame leads to the pages of signing in. Or nobody answers. */
function noticed(error: unknown): void {
  if (error instanceof Unreachable) lost();
  if (error instanceof Refused && error.slug === "unauthenticated") queries.setQueryData(SESSION, null);
}

/** All that was read, until an event says that it changed (see live.ts). */
export const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: noticed }),
  mutationCache: new MutationCache({ onError: noticed }),
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (count, error) => !(error instanceof Refused && error.problem.status < 500) && count < 2,
      retryDelay: (count) => 300 * 2 ** count,
    },
    mutations: { retry: false, networkMode: "always" }, // never kept back and sent later, when nobody looks
  },
});

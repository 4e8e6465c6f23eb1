import { createQuery } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import type { paths } from "../../api/schema";
import { pagesOf } from "../desk/queries";

export type Run = Schemas["RunView"];
export type RunLine = Schemas["RunLineView"];
export type Exception = Schemas["ExceptionDetail"];
export type Proposal = Schemas["ProposalView"];
export type Resolution = Schemas["Resolution"];
export type WantedExceptions = NonNullable<paths["/v1/reconciliation/exceptions"]["get"]["parameters"]["query"]>;

const EVERY = 1_000; // ms until a run is read again while its lines are handled
const MOST = 50; // receipts to match with; the search reaches all

/** What a CSV export may lack. */
export type Lacks = { account?: string; currency?: string };

/** A bank's file, as it is. `known`: it came before, and this is its first run. */
export async function take(file: File, lacks: Lacks): Promise<{ run: Run; known: boolean }> {
  let known = false;
  const run = await ask(
    api
      .POST("/v1/bank-statements", {
        params: { query: lacks },
        body: file as unknown as string,
        bodySerializer: (body: unknown) => body as File,
        headers: { "Content-Type": "application/octet-stream" },
      })
      .then((answer) => {
        known = answer.response.status === 200;
        return answer;
      }),
  );
  return { run, known };
}

export const runsQuery = () =>
  pagesOf(
    () => ["runs"],
    (cursor) => ask(api.GET("/v1/reconciliation/runs", { params: { query: { limit: 50, cursor } } })),
  );

export const runQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "run", id()],
    queryFn: () => ask(api.GET("/v1/reconciliation/runs/{run_id}", { params: { path: { run_id: id() } } })),
    refetchInterval: ({ state }) => (state.data?.status === "running" ? EVERY : false),
  }));

export const linesQuery = (id: () => string, state: () => RunLine["state"] | undefined) =>
  pagesOf(
    () => ["lines", id(), state()],
    (cursor) =>
      ask(
        api.GET("/v1/reconciliation/runs/{run_id}/lines", {
          params: { path: { run_id: id() }, query: { state: state(), limit: 100, cursor } },
        }),
      ),
  );

export const exceptionsQuery = (wanted: () => WantedExceptions) =>
  pagesOf(
    () => ["exceptions", wanted()],
    (cursor) =>
      ask(api.GET("/v1/reconciliation/exceptions", { params: { query: { ...wanted(), limit: 50, cursor } } })),
  );

export const exceptionQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "exception", id()],
    queryFn: () =>
      ask(api.GET("/v1/reconciliation/exceptions/{exception_id}", { params: { path: { exception_id: id() } } })),
  }));

/** Decide an exception, once. The same decision again gets the same answer. */
export const resolve = (exception_id: string, body: Resolution): Promise<Exception> =>
  ask(api.POST("/v1/reconciliation/exceptions/{exception_id}/resolve", { params: { path: { exception_id } }, body }));

export const assign = (exception_id: string, assigned_to: string | null): Promise<Exception> =>
  ask(
    api.POST("/v1/reconciliation/exceptions/{exception_id}/assign", {
      params: { path: { exception_id } },
      body: { assigned_to },
    }),
  );

/** Receipts that were recorded, the newest first: of a customer, or the one with this number. */
export const receiptsQuery = (customer: () => string | null, q: () => string, currency: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "receipts", customer(), q(), currency()],
    enabled: customer() !== null || q() !== "",
    queryFn: () =>
      ask(
        api.GET("/v1/payments", {
          params: {
            query: {
              customer_id: customer() ?? undefined,
              q: q() || undefined,
              way: "receive",
              currency: currency(),
              limit: MOST,
            },
          },
        }),
      ),
  }));

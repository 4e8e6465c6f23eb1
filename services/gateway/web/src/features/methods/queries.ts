import { createQuery } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { customerOf } from "../../api/session";
import { proven } from "../../kit/stepUp.svelte";

export type Method = Schemas["MethodView"];
export type Autopay = Schemas["AutopayView"];
export type Setup = Schemas["SetupView"];

const mine = () => ({ customer_id: customerOf() });
const one = (method_id: string) => ({ path: { ...mine(), method_id } });

/** The payment methods; with a currency, `usable` is about that currency. */
export const methodsQuery = (currency: () => string | undefined = () => undefined) =>
  createQuery(() => ({
    queryKey: ["methods", "list", currency() ?? ""],
    queryFn: () =>
      ask(
        api.GET("/v1/customers/{customer_id}/payment-methods", {
          params: { path: mine(), query: { currency: currency() } },
        }),
      ),
  }));

export const autopayQuery = () =>
  createQuery(() => ({
    queryKey: ["autopay"],
    queryFn: () => ask(api.GET("/v1/customers/{customer_id}/autopay", { params: { path: mine() } })),
  }));

/** What became of a visit to the provider's page. */
export const setupQuery = (setup_id: string | undefined) =>
  createQuery(() => ({
    queryKey: ["setup", setup_id],
    enabled: setup_id !== undefined,
    queryFn: () =>
      ask(
        api.GET("/v1/customers/{customer_id}/payment-methods/setup/{setup_id}", {
          params: { path: { ...mine(), setup_id: setup_id! } },
        }),
      ),
    refetchInterval: (query) =>
      query.state.data?.status === "open" && query.state.dataUpdateCount < 4 ? 1_000 : false,
  }));

export const makeDefault = (id: string): Promise<Method> =>
  ask(
    api.PATCH("/v1/customers/{customer_id}/payment-methods/{method_id}", {
      params: one(id),
      body: { is_default: true },
    }),
  );

export const remove = (id: string): Promise<unknown> =>
  ask(api.DELETE("/v1/customers/{customer_id}/payment-methods/{method_id}", { params: one(id) }));

export const verify = (id: string, body: Schemas["DepositsRequest"]): Promise<Method> =>
  ask(api.POST("/v1/customers/{customer_id}/payment-methods/{method_id}/verify", { params: one(id), body }));

/** The provider's page, on which a card or bank account is typed; it leads back to us. */
export const beginSetup = (save: boolean, key: string): Promise<Setup> =>
  proven(() =>
    ask(
      api.POST("/v1/customers/{customer_id}/payment-methods/setup", {
        params: { path: mine(), header: { "Idempotency-Key": key } },
        body: { return_url: `${location.origin}/account/methods/return`, save, accept_terms: true },
      }),
    ),
  );

export const putAutopay = (body: Schemas["AutopayRequest"]): Promise<Autopay> =>
  proven(() => ask(api.PUT("/v1/customers/{customer_id}/autopay", { params: { path: mine() }, body })));

import { createQueries } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import type { SERVICES } from "./rules";

type Service = (typeof SERVICES)[number];
export type SetAside = Schemas["SetAside"];

/** Each service answers for itself, so that one that is away hides nothing of the others. */
const ASK: Record<Service, () => Promise<SetAside>> = {
  auth: () => ask(api.GET("/v1/dead-letters/auth")),
  invoicing: () => ask(api.GET("/v1/dead-letters/invoicing")),
  notify: () => ask(api.GET("/v1/dead-letters/notify")),
  support: () => ask(api.GET("/v1/dead-letters/support")),
  payments: () => ask(api.GET("/v1/dead-letters/payments")),
};

export const setAsideQueries = (services: readonly Service[]) =>
  createQueries(() => ({
    queries: services.map((service) => ({
      queryKey: ["desk", "dead-letters", service],
      queryFn: ASK[service],
      refetchInterval: 30_000,
    })),
  }));

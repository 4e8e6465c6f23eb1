import {
  createInfiniteQuery,
  createQuery,
  type CreateInfiniteQueryResult,
  type InfiniteData,
} from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { queries } from "../../api/queries";
import { useToday } from "../../kit/say.svelte";

export type CustomerRow = Schemas["CustomerRow"];

/** A list that grows page by page. */
export type Pages<Row> = CreateInfiniteQueryResult<InfiniteData<{ items: Row[]; next_cursor: string | null }>>;

/** `read` gets the cursor of the page; none for the first. */
export const pagesOf = <Row>(
  key: () => unknown[],
  read: (cursor: string | undefined) => Promise<{ items: Row[]; next_cursor: string | null }>,
): Pages<Row> =>
  createInfiniteQuery(() => ({
    queryKey: ["desk", ...key()],
    queryFn: ({ pageParam }) => read(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  }));

export const customersQuery = (q: () => string | undefined) =>
  pagesOf(
    () => ["customers", q()],
    (cursor) => ask(api.GET("/v1/customers", { params: { query: { q: q(), limit: 50, cursor } } })),
  );

export const customerQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "customer", id()],
    enabled: id() !== "",
    queryFn: async () => {
      const found = await ask(
        api.GET("/v1/customers/{customer_id}/summary", { params: { path: { customer_id: id() } } }),
      );
      useToday(found.as_of);
      return found;
    },
  }));

const MOST_LOOKS = 20;

/** The address of a new customer makes its first contact some moments later, so an empty list is looked at again. */
export const contactsQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "contacts", id()],
    queryFn: () => ask(api.GET("/v1/contacts", { params: { query: { customer_id: id(), limit: 100 } } })),
    refetchInterval: ({ state }) =>
      state.data?.items.length === 0 && state.dataUpdateCount < MOST_LOOKS ? 1_000 : false,
  }));

/** All of the company's people, also who can't log in any more: what they did before goes by their names. */
export const everybodyQuery = () =>
  createQuery(() => ({
    queryKey: ["desk", "everybody"],
    queryFn: async () => {
      const found: Schemas["StaffMember"][] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = await ask(api.GET("/v1/staff", { params: { query: { limit: 100, cursor } } }));
        found.push(...page.items);
        cursor = page.next_cursor;
      }
      return found;
    },
  }));

export const mailsQuery = () =>
  pagesOf(
    () => ["mails"],
    (cursor) => ask(api.GET("/v1/mails", { params: { query: { limit: 50, cursor } } })),
  );

/** A visit to a customer's portal: the path below which it is open. */
export const look = (customer_id: string, reason: string): Promise<Schemas["BegunVisit"]> =>
  ask(api.POST("/v1/visits", { body: { customer_id, reason } }));

export const addContact = (body: Schemas["NewContact"]): Promise<Schemas["ContactView"]> =>
  ask(api.POST("/v1/contacts", { body }));

export const changeContact = (contact_id: string, body: Schemas["ContactChange"]): Promise<Schemas["ContactView"]> =>
  ask(api.PATCH("/v1/contacts/{contact_id}", { params: { path: { contact_id } }, body }));

export const invite = (contact_id: string): Promise<Schemas["Invitation"]> =>
  ask(api.POST("/v1/contacts/{contact_id}/invitations", { params: { path: { contact_id } } }));

export const readAnew = (): Promise<void> => queries.invalidateQueries({ queryKey: ["desk"] });

import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { pagesOf, readAnew } from "../desk/queries";

export { readAnew };
export type Company = Schemas["Company"];
export type StaffMember = Schemas["StaffMember"];
export type KeyView = Schemas["KeyView"];

export const staffQuery = () =>
  pagesOf(
    () => ["staff"],
    (cursor) => ask(api.GET("/v1/staff", { params: { query: { limit: 100, cursor } } })),
  );

export const addStaff = (body: Schemas["NewStaff"]): Promise<StaffMember> => ask(api.POST("/v1/staff", { body }));

export const changeStaff = (staff_id: string, body: Schemas["StaffChange"]): Promise<StaffMember> =>
  ask(api.PATCH("/v1/staff/{staff_id}", { params: { path: { staff_id } }, body }));

export const keysQuery = () =>
  pagesOf(
    () => ["keys"],
    (cursor) => ask(api.GET("/v1/api-keys", { params: { query: { limit: 100, cursor } } })),
  );

/** The same `once` shows the same key again, so that a double click or a lost answer makes one. */
export const makeKey = (body: Schemas["NewKey"], once: string): Promise<Schemas["MadeKey"]> =>
  ask(api.POST("/v1/api-keys", { body, params: { header: { "Idempotency-Key": once } } }));

export const revokeKey = (key_id: string): Promise<unknown> =>
  ask(api.DELETE("/v1/api-keys/{key_id}", { params: { path: { key_id } } }));

export const companyQuery = () =>
  createQuery(() => ({ queryKey: ["desk", "company"], queryFn: () => ask(api.GET("/v1/company")) }));

/** How a colour would look in light and dark; with a darker one where it can't be read. */
export const lookQuery = (brand_colour: () => string) =>
  createQuery(() => ({
    queryKey: ["desk", "look", brand_colour()],
    queryFn: () => ask(api.GET("/v1/company/look", { params: { query: { brand_colour: brand_colour() } } })),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  }));

export const saveCompany = (body: Company): Promise<Schemas["CompanyView"]> => ask(api.PUT("/v1/company", { body }));

/** The look that is saved now, whatever this browser has kept of the one before. */
export const savedLook = (): Promise<Schemas["Look"]> => ask(api.GET("/v1/company/look", { cache: "reload" }));

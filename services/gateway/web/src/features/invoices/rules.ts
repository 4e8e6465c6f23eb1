import type { Wanted } from "./queries";

export const TABS = ["all", "open", "in_progress", "paid"] as const;
export type Tab = (typeof TABS)[number];
export const AGES = ["amount_due", "days_0_30", "days_31_60", "days_61_90", "over_90"] as const;

/** The columns that sort, in their order; `hide` on narrow pages. */
export const SORTS = [
  { field: "number", hide: false, right: false },
  { field: "issued_on", hide: true, right: false },
  { field: "due_on", hide: false, right: false },
  { field: "total", hide: true, right: true },
] as const;

type Choice = Pick<Wanted, "status" | "sort" | "currency" | "age" | "q"> & { tab: Tab };

const among = <T extends string>(value: unknown, allowed: readonly T[]): T | undefined =>
  allowed.find((one) => one === value);

/** What the address of the page asks for. What it does not know is left out. */
export function chosen(get: (name: string) => unknown): Choice {
  const tab = among(get("tab"), TABS) ?? "all";
  const sorts = SORTS.flatMap(({ field }) => [field, `-${field}` as const]);
  const currency = String(get("currency") ?? "");
  return {
    tab,
    status: among(get("status"), ["unpaid", "overdue"] as const),
    sort: among(get("sort"), sorts) ?? (tab === "open" ? "due_on" : "-issued_on"),
    currency: /^[A-Z]{3}$/.test(currency) ? currency : undefined,
    age: among(get("age"), AGES),
    q: String(get("q") ?? "").slice(0, 100) || undefined,
  };
}

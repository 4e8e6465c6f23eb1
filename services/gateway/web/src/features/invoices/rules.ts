import type { Wanted } from "./queries";

export const TABS = ["all", "open", "in_progress", "paid"] as const;
export type Tab = (typeof TABS)[number];
export const AGES = ["amount_due", "days_0_30", "days_31_60", "days_61_90", "over_90"] as const;
/** Where a customer's summary has the sum of each age. */
export const MINOR_OF = {
  amount_due: "amount_due_minor",
  days_0_30: "days_0_30_minor",
  days_31_60: "days_31_60_minor",
  days_61_90: "days_61_90_minor",
  over_90: "over_90_minor",
} as const;
export const STATUSES = ["unpaid", "overdue"] as const;

/** The columns beside number and balance, in their order. */
export const COLUMNS = ["po", "issued_on", "due_on", "status", "total", "paid", "payable_now"] as const;
export type Column = (typeof COLUMNS)[number];
const SORTED = ["number", "issued_on", "due_on", "total", "balance"] as const;
export const SORTS = SORTED.flatMap((field) => [field, `-${field}`] as const);
export type Sort = (typeof SORTS)[number];

/** How a person looks at the list. Without `sort` it is sorted as the tab usually is. */
export type Look = Readonly<{ columns: readonly Column[]; compact: boolean; sort?: Sort }>;
const USUAL: Look = { columns: ["po", "issued_on", "due_on", "status", "total"], compact: false };

type Choice = Pick<Wanted, "status" | "sort" | "currency" | "age" | "q"> & { tab: Tab };

const among = <T extends string>(value: unknown, allowed: readonly T[]): T | undefined =>
  allowed.find((one) => one === value);

/** What the address of the page asks for. What it does not know is left out. `kept`: the order that was last chosen. */
export function chosen(get: (name: string) => unknown, kept?: Sort): Choice {
  const tab = among(get("tab"), TABS) ?? "all";
  const currency = String(get("currency") ?? "");
  return {
    tab,
    status: among(get("status"), STATUSES),
    sort: among(get("sort"), SORTS) ?? kept ?? (tab === "open" ? "due_on" : "-issued_on"),
    currency: /^[A-Z]{3}$/.test(currency) ? currency : undefined,
    age: among(get("age"), AGES),
    q: String(get("q") ?? "").slice(0, 100) || undefined,
  };
}

/** The search part of another tab's address: the filters stay. */
export function tabSearch(tab: Tab, { status, currency, age, q }: Choice): string {
  const parts = Object.entries({ tab: tab === "all" ? undefined : tab, status, currency, age, q });
  const search = new URLSearchParams(parts.filter((part): part is [string, string] => part[1] !== undefined));
  return search.size ? `?${search}` : "";
}

/** What was kept in the browser, as far as it is still known. */
export function lookOf(text: string | null): Look {
  try {
    const kept = JSON.parse(text ?? "null") as Partial<Record<keyof Look, unknown>> | null;
    if (!Array.isArray(kept?.columns)) return USUAL;
    const { columns } = kept;
    const sort = among(kept.sort, SORTS);
    return {
      columns: COLUMNS.filter((one) => columns.includes(one)),
      compact: kept.compact === true,
      ...(sort ? { sort } : {}),
    };
  } catch {
    return USUAL;
  }
}

/** The look with a column switched on or off. */
export const toggled = (look: Look, column: Column): Look => ({
  ...look,
  columns: COLUMNS.filter((one) => (one === column) !== look.columns.includes(one)),
});

type Shown = { id: string; status: string };
/** A line of the table. `washed`: its invoice has just moved on to another status. */
export type Row = { key: number; status: string; washed: boolean };

/**
 * The row of each invoice by its id. An invoice keeps its row while it is shown, and gets a new one when it moves on,
 * which washes it with colour. Invoices that come take the rows of those that went: filling a row costs the browser
 * a fraction of making one.
 */
export function rowsOf(before: ReadonlyMap<string, Row>, now: readonly Shown[]): ReadonlyMap<string, Row> {
  const stays = (one: Shown): boolean => before.get(one.id)?.status === one.status;
  const kept = new Set(now.filter(stays).map((one) => one.id));
  const free = [...before].filter(([id]) => !kept.has(id)).map(([, row]) => row.key);
  let last = Math.max(0, ...[...before.values()].map((row) => row.key));
  const rowOf = ({ id, status }: Shown): Row => {
    const was = before.get(id);
    if (was?.status === status) return { ...was, washed: false };
    return { key: was ? ++last : (free.shift() ?? ++last), status, washed: was !== undefined };
  };
  return new Map(now.map((one) => [one.id, rowOf(one)]));
}

const FIRST = 12; // rows that a frame can draw, with what else it has to do

/**
 * What the table shows for one frame on the way to another page: the first rows of that page, and below them the last
 * ones of the page before. Null where most invoices stay: the table changes at once.
 */
export function halfway<T extends { id: string }>(before: readonly T[], now: readonly T[]): readonly T[] | null {
  const had = new Set(before.map(({ id }) => id));
  if (now.length <= FIRST || 2 * now.filter(({ id }) => had.has(id)).length > now.length) return null;
  const first = now.slice(0, FIRST);
  return [...first, ...before.slice(FIRST, now.length).filter((one) => !first.some(({ id }) => id === one.id))];
}

import type { Schemas } from "../../api/client";
import type { IconName } from "../../kit/Icon.svelte";
import type { Key } from "../../words/index.svelte";

type Balance = Pick<Schemas["BalanceOfCurrency"], "outstanding_minor" | "overdue_minor">;

/** How a customer stands, over all currencies, which are never added up. */
export function stateOf(balances: readonly Balance[]): { tone: string; icon: IconName; word: Key } {
  if (balances.some((one) => one.overdue_minor > 0)) return { tone: "overdue", icon: "overdue", word: "desk.overdue" };
  if (balances.some((one) => one.outstanding_minor > 0)) return { tone: "", icon: "due", word: "desk.due" };
  return { tone: "paid", icon: "paid", word: "desk.nothing_open" };
}

export const TABS = ["all", "draft", "open", "in_progress", "paid"] as const;

/** The tab that the address of the page asks for. */
export const tabOf = (asked: unknown): (typeof TABS)[number] => TABS.find((one) => one === asked) ?? "all";

type Invoice = Pick<Schemas["InvoiceSummary"], "status" | "settled_minor" | "credited_minor" | "pending_minor">;

/** What can be done with an invoice at the desk. Only one of which nothing is paid or under way is voided. */
export function offered(invoice: Invoice): { issue: boolean; void: boolean; mail: boolean } {
  const untouched = !invoice.settled_minor && !invoice.credited_minor && !invoice.pending_minor;
  return {
    issue: invoice.status === "draft",
    void: (invoice.status === "open" || invoice.status === "draft") && untouched,
    mail: invoice.status === "open" || invoice.status === "in_progress",
  };
}

/** A number that somebody typed with the language's decimal sign, as the API writes it; null when it is none. */
export function decimalOf(text: string, language: string): string | null {
  const point = (1.5).toLocaleString(language).charAt(1);
  const [whole = "", part, more] = text.replace(/[\s%\u00a0\u202f]/g, "").split(point);
  if (more !== undefined || !/^\d+$/.test(whole) || (part !== undefined && !/^\d{1,6}$/.test(part))) return null;
  return part === undefined ? whole : `${whole}.${part}`;
}

/** A percentage that somebody typed, as a fraction: "8.25" is "0.0825". An empty one is no tax. */
export function rateOf(text: string, language: string): string | null {
  if (!text.trim()) return "0";
  const typed = decimalOf(text, language);
  if (typed === null) return null;
  const [whole = "", part = ""] = typed.split(".");
  const shifted = whole.padStart(3, "0");
  return `${shifted.slice(0, -2)}.${shifted.slice(-2)}${part}`;
}

export const laterBy = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T12:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);

type Known = Pick<Schemas["StaffMember"], "id" | "email" | "name">;

/** Somebody of the company, given by id or e-mail address, as people call them. Null: it is nobody of these. */
export function calledOf(whom: string, staff: readonly Known[]): string | null {
  const found = staff.find((one) => one.id === whom || one.email === whom);
  return found ? (found.name ?? found.email) : null;
}

/**
 * Who can look after a customer: all of the company who can log in, by e-mail address; and who does so now, though it
 * may be a name that another system wrote.
 */
export function managersOf(
  staff: readonly Pick<Schemas["StaffMember"], "email" | "name" | "enabled">[],
  now: string | null,
): { value: string; name: string }[] {
  const all = staff
    .filter((one) => one.enabled || one.email === now)
    .map(({ email, name }) => ({ value: email, name: name ? `${name}, ${email}` : email }));
  if (now && all.every((one) => one.value !== now)) all.push({ value: now, name: now });
  return all.sort((one, other) => one.name.localeCompare(other.name));
}

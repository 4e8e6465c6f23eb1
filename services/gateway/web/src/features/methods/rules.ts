import { t } from "../../words/index.svelte";
import type { Autopay, Method } from "./queries";

/** As "Credit card •••• 4242". */
export function nameOf(method: Pick<Method, "kind" | "last4"> & Partial<Pick<Method, "funding">>): string {
  const kind =
    method.kind === "bank_account"
      ? "bank_account"
      : method.funding === "credit" || method.funding === "debit"
        ? method.funding
        : "card";
  return `${t(`methods.${kind}`)} •••• ${method.last4 ?? "????"}`;
}

const BRANDS: Readonly<Record<string, string>> = {
  visa: "Visa",
  mastercard: "Mastercard",
  amex: "American Express",
  discover: "Discover",
  jcb: "JCB",
  diners: "Diners Club",
  unionpay: "UnionPay",
};

/** The network's own way to write its name; others as the provider writes them. */
export const brandOf = (brand: string): string => BRANDS[brand] ?? brand;

/** 2034-12 as 12/2034, as it stands on a card. */
export const expiryOf = (expires: string): string => expires.split("-").reverse().join("/");

/** A small deposit as somebody copies it from a statement, 0.32 or $0.32 or 32, in cents; null when it is none. */
export function centsOf(text: string): number | null {
  const typed = text.replace(/[\s$]/g, "").replace(",", ".");
  const found = /^(?:0?\.(\d{2})|(\d{1,2}))$/.exec(typed);
  const cents = Number(found?.[1] ?? found?.[2] ?? 0);
  return cents > 0 ? cents : null;
}

/** Whether autopay charges this method, in whatever currency. */
export const autopayUses = (autopay: Autopay | undefined, id: string): boolean =>
  autopay !== undefined &&
  autopay.enabled &&
  (autopay.method_id === id || autopay.methods.some((each) => each.method_id === id));

/** Those of the methods that autopay could charge in a currency. */
export const paysIn = (methods: readonly Method[], currency: string): Method[] =>
  methods.filter((each) => each.usable && (each.currencies?.includes(currency) ?? true));

/** A visit to the provider's page that has begun here: `to` is the page from which the person came. */
export type Begun = Readonly<{ id: string; to: string; save: boolean }>;
const KEY = "paidup.setup";

export const keepBegun = (begun: Begun): void => sessionStorage.setItem(KEY, JSON.stringify(begun));
export const forgetBegun = (): void => sessionStorage.removeItem(KEY);

export function begun(): Begun | null {
  const text = sessionStorage.getItem(KEY);
  return text ? (JSON.parse(text) as Begun) : null;
}

import type { Schemas } from "../../api/client";
import { voided } from "../payments/rules";

type Payment = Schemas["PaymentView"];

export const KINDS = ["cheque", "cash", "wire", "otherwise"] as const;
export const HOW = ["oldest", "chosen", "credit"] as const;
export type How = (typeof HOW)[number];

/** A customer's part of money that came: what it pays. `amounts`: what was typed for each chosen invoice. */
export type Share = { customer: string | null; how: How; amounts: Readonly<Record<string, string>> };

export const newShare = (customer: string | null = null): Share => ({ customer, how: "oldest", amounts: {} });

export type Wrong = "no_customer" | "no_amount" | "none_chosen" | "wrong_part" | "too_much";
type Asked = Schemas["Share"];

/** The request for a share of so many minor units, or what is wrong with it. `parse` reads an amount. */
export function askedOf(share: Share, minor: number | null, parse: (text: string) => number | null): Asked | Wrong {
  if (!share.customer) return "no_customer";
  if (!minor) return "no_amount";
  const asked = {
    customer_id: share.customer,
    amount_minor: minor,
    invoices: [],
    on_account: share.how === "credit",
  };
  if (share.how !== "chosen") return asked;
  const parts = Object.entries(share.amounts).map(([invoice_id, text]) => ({ invoice_id, amount_minor: parse(text) }));
  if (!parts.length) return "none_chosen";
  if (parts.some((part) => !part.amount_minor)) return "wrong_part";
  if (parts.reduce((sum, part) => sum + (part.amount_minor ?? 0), 0) > minor) return "too_much";
  return { ...asked, invoices: parts };
}

const sum = (of: readonly { amount_minor: number }[]): number => of.reduce((all, one) => all + one.amount_minor, 0);

/** What went back still counts for invoices and as credit: the books follow in a moment. */
function booksFollow(payment: Payment): boolean {
  const back = payment.reversals.filter((one) => one.status === "succeeded");
  const here = voided(payment) ? 0 : payment.amount_minor - sum(back);
  return sum(payment.allocations) + payment.credit_minor > here;
}

/** Something of the payment is still on its way, so that it will look different soon. */
export function underWay(payment: Payment): boolean {
  if (["declined", "cancelled", "expired"].includes(payment.status)) return false;
  if (payment.reversals.some((one) => one.status === "requested" || one.status === "processing")) return true;
  if (booksFollow(payment)) return true;
  if (payment.reconciliation !== "matched") return payment.reconciliation === "waiting";
  const settled = payment.allocations.length + payment.gone_back.length + payment.credit_minor;
  const spent = payment.credit_used_minor + payment.reversed_minor;
  return !settled && !spent && !voided(payment) && !payment.credit_allocations.length;
}

/** What has not gone back of the payment's amount, and will not. */
export const leftOf = (payment: Pick<Payment, "amount_minor" | "reversals">): number =>
  payment.reversals
    .filter((one) => one.status !== "failed" && one.status !== "won")
    .reduce((left, one) => left - one.amount_minor, payment.amount_minor);

type Back = { credit: number; invoices: Schemas["AllocationView"][] };

/** What an amount that goes back takes: unspent credit first, then of the invoices that were paid last. */
export function takenOf(payment: Pick<Payment, "allocations" | "credit_minor">, minor: number): Back {
  const credit = Math.min(payment.credit_minor, minor);
  const invoices: Back["invoices"] = [];
  let left = minor - credit;
  for (const part of [...payment.allocations].reverse()) {
    const amount_minor = Math.min(part.amount_minor, left);
    if (amount_minor) invoices.push({ ...part, amount_minor });
    left -= amount_minor;
  }
  return { credit, invoices };
}

/** Money that came, and of which a part is still here. */
export const refundable = (payment: Payment): boolean =>
  payment.reconciliation === "matched" &&
  payment.total_minor > 0 &&
  !voided(payment) &&
  !payment.reversals.some((one) => one.status === "open") &&
  leftOf(payment) > 0;

/** Only what was recorded or posted from a bank's file, and of which nothing went back. */
export const voidable = (payment: Payment): boolean =>
  payment.way === "receive" && !voided(payment) && !payment.reversals.length;

export const SHOWN = ["all", "under_way", "confirmed", "received", "question", "unsuccessful"] as const;
export type Shown = (typeof SHOWN)[number];
type Wanted = Partial<Pick<Payment, "status" | "reconciliation" | "way">>;

export const WANTED: Record<Shown, Wanted> = {
  all: {},
  under_way: { reconciliation: "waiting" },
  confirmed: { reconciliation: "matched" },
  received: { way: "receive" },
  question: { reconciliation: "exception" },
  unsuccessful: { status: "declined" },
};

import type { Schemas } from "../../api/client";
import type { IconName } from "../../kit/Icon.svelte";
import type { Key } from "../../words/index.svelte";

type Dispute = Schemas["DisputeView"];
type Invoice = Pick<Schemas["InvoiceDetail"], "status" | "total_minor" | "payable_now_minor" | "lines">;

export const QUEUES = ["open", "under_review", "all"] as const;
type Queue = (typeof QUEUES)[number];

/** The queue that the address of the page asks for. */
export const queueIn = (asked: unknown): Queue => QUEUES.find((one) => one === asked) ?? "open";

const LOOKS: Record<Dispute["status"], { tone: string; icon: IconName }> = {
  open: { tone: "dispute", icon: "flag" },
  under_review: { tone: "dispute", icon: "eye" },
  accepted: { tone: "paid", icon: "paid" },
  rejected: { tone: "", icon: "x" },
  withdrawn: { tone: "", icon: "x" },
};

export const lookOf = (status: Dispute["status"]): { tone: string; icon: IconName; word: Key } => ({
  ...LOOKS[status],
  word: `disputes.s_${status}`,
});

export const undecided = (dispute: Pick<Dispute, "status">): boolean =>
  dispute.status === "open" || dispute.status === "under_review";

/** Whether an undecided dispute is about a line; one without lines is about all of them. */
export const inDispute = (disputes: readonly Pick<Dispute, "status" | "lines">[], line: number): boolean =>
  disputes.some((one) => undecided(one) && (!one.lines.length || one.lines.some((each) => each.line === line)));

/** Whether its credit note is still to come. */
export const awaitsNote = (
  dispute: Pick<Dispute, "status" | "credit_note" | "nothing_to_credit"> | null | undefined,
): boolean => dispute?.status === "accepted" && dispute.credit_note === null && !dispute.nothing_to_credit;

/** Whether something of an invoice can be disputed: void and written-off ones are not owed. */
export const disputable = (invoice: Pick<Invoice, "status">): boolean =>
  ["open", "in_progress", "paid"].includes(invoice.status);

/** Lines by their place from 1, with the amount that is disputed; null: it can't be read. */
export type Chosen = Readonly<Record<number, number | null>>;

/** Why an amount of a line can't be disputed; null when it can. */
export function wrongAmount(minor: number | null, most: number): "no_amount" | "too_much" | null {
  if (minor === null || minor <= 0) return "no_amount";
  return minor > most ? "too_much" : null;
}

const sumOfLines = (chosen: Chosen): number =>
  Object.values(chosen).reduce<number>((sum, minor) => sum + (minor ?? 0), 0);

/** What is disputed in all, in minor units: the chosen lines, at most the total; without lines the whole invoice. */
export const sumOf = (invoice: Pick<Invoice, "total_minor">, whole: boolean, chosen: Chosen): number =>
  whole ? invoice.total_minor : Math.min(sumOfLines(chosen), invoice.total_minor);

/** How much of what is disputed is held: at most what is owed and not held already. */
export const heldOf = (invoice: Pick<Schemas["InvoiceDetail"], "balance_minor" | "disputed_minor">, disputed: number) =>
  Math.max(0, Math.min(disputed, invoice.balance_minor - invoice.disputed_minor));

/** What can be paid meanwhile without paying what is disputed. */
export const restOf = (invoice: Pick<Invoice, "payable_now_minor">, disputed: number): number =>
  Math.max(0, invoice.payable_now_minor - disputed);

/** What of the invoice is neither credited nor in another dispute: all disputes of an invoice come to its total at most. */
export const leftOf = (
  invoice: Pick<Invoice, "total_minor">,
  disputes: readonly Pick<Dispute, "status" | "amount_minor">[],
): number =>
  disputes
    .filter((one) => undecided(one) || one.status === "accepted")
    .reduce((left, one) => Math.max(0, left - (one.amount_minor ?? 0)), invoice.total_minor);

/** Whether the chosen lines come to more than that. */
export const beyond = (chosen: Chosen, left: number): boolean => sumOfLines(chosen) > left;

export const linesOf = (whole: boolean, chosen: Chosen): { line: number; amount_minor: number | null }[] =>
  whole ? [] : Object.entries(chosen).map(([line, amount_minor]) => ({ line: Number(line), amount_minor }));

/** What a credit note would do, as sentences with the amounts that they say. */
export function effectOf(dispute: Pick<Dispute, "if_accepted">): { word: Key; minor: number }[] {
  const then = dispute.if_accepted;
  if (!then) return [{ word: "disputes.do_unknown", minor: 0 }];
  if (then.waits) return [{ word: "disputes.do_waits", minor: 0 }];
  const found: { word: Key; minor: number }[] = [];
  if (then.applied_minor) found.push({ word: "disputes.do_applied", minor: then.applied_minor });
  if (then.credit_minor) found.push({ word: "disputes.do_credit", minor: then.credit_minor });
  return found.length ? found : [{ word: "disputes.do_nothing", minor: 0 }];
}

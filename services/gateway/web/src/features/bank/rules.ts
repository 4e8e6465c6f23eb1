import type { Schemas } from "../../api/client";
import type { IconName } from "../../kit/Icon.svelte";
import { t, type Key } from "../../words/index.svelte";
import { calledOf } from "../desk/rules";
import { askedOf, type Share, type Wrong } from "../receipts/rules";
import type { Exception, Resolution, RunLine } from "./queries";

type Proposal = Pick<Schemas["ProposalView"], "payment_id" | "payment_ids" | "payout_id">;

/** Money that is known already, as a receipt or a payout, is matched: posting would count it twice. */
export const actionOf = (proposal: Proposal): "post" | "match" =>
  proposal.payment_id || proposal.payment_ids?.length || proposal.payout_id ? "match" : "post";

type About = Pick<Exception, "line" | "amount_minor" | "payment_id" | "provider_id" | "payout_line_id">;

/** Ways to decide an exception beside its proposals and to dismiss it. */
export function waysOf(exception: About): ("post" | "match" | "accept")[] {
  if (exception.line) return exception.amount_minor > 0 ? ["post", "match"] : ["match"];
  return exception.payment_id && !exception.provider_id && !exception.payout_line_id ? ["accept"] : [];
}

type Decided = Pick<Exception, "state" | "payments" | "trail">;

/** The payments that a line was posted as and that can be taken back: all of it is still here. */
export const undoable = (exception: Decided): NonNullable<Exception["payments"]> =>
  exception.state === "resolved" && exception.trail.some((note) => note.action === "post")
    ? (exception.payments ?? []).filter((one) => !one.gone_back_minor)
    : [];

type Staff = readonly Schemas["StaffMember"][];

/** Who did what a note of the trail says. Actors are `kind:id`. */
export function byWhom(actor: string, staff: Staff): string {
  const [kind, id = ""] = actor.split(":");
  if (kind === "staff") return calledOf(id, staff) ?? t("bank.by_staff");
  return t(actor === "system:payments" ? "bank.by_itself" : "bank.by_program");
}

/** One of several customers' parts of a line. `text`: the amount as it was typed. */
export type Part = Share & { id: number; text: string };
type Parse = (text: string) => number | null;
export type WrongPart = { part: number; wrong: Wrong } | "not_the_sum" | "same_customer";

/** How much of a line no part has yet; below zero: the parts are more than the line. */
export const restOf = (parts: readonly Part[], minor: number, parse: Parse): number =>
  parts.reduce((rest, part) => rest - (parse(part.text) ?? 0), minor);

/** The decision that posts a line of `minor` as its parts say, or what is wrong with these. */
export function postOf(parts: readonly Part[], minor: number, parse: Parse): Omit<Resolution, "reason"> | WrongPart {
  const shares: Schemas["Share"][] = [];
  for (const [place, part] of parts.entries()) {
    const asked = askedOf(part, parts.length === 1 ? minor : parse(part.text), parse);
    if (typeof asked === "string") return { part: place, wrong: asked };
    shares.push(asked);
  }
  const [only] = shares;
  if (only && shares.length === 1) {
    const { customer_id, invoices, on_account } = only;
    return { action: "post", customer_id, invoices, on_account };
  }
  if (new Set(shares.map((one) => one.customer_id)).size < shares.length) return "same_customer";
  if (restOf(parts, minor, parse) !== 0) return "not_the_sum";
  return { action: "post", shares };
}

type Look = { tone: string; icon: IconName; word: Key };

/** What became of a bank's line. */
export const LINE: Record<RunLine["state"], Look> = {
  new: { tone: "progress", icon: "progress", word: "bank.l_new" },
  posted: { tone: "paid", icon: "paid", word: "bank.l_posted" },
  matched: { tone: "paid", icon: "paid", word: "bank.l_matched" },
  proposed: { tone: "overdue", icon: "overdue", word: "bank.l_proposed" },
  duplicate: { tone: "", icon: "file", word: "bank.l_duplicate" },
  ignored: { tone: "", icon: "x", word: "bank.l_ignored" },
  resolved: { tone: "paid", icon: "paid", word: "bank.l_resolved" },
};

/** Of the counts of a run, the ones that a person looks at first come first. */
export const COUNTS = ["proposed", "posted", "matched", "resolved", "duplicate", "ignored"] as const;

export const CLASSES = [
  "missing_here",
  "missing_there",
  "wrong_amount",
  "short_payment",
  "doubled",
  "wrong_currency",
] as const;

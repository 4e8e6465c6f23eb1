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

type Proposal = Pick<Schemas["ProposalView"], "payment_id" | "payment_ids" | "payout_id">;

/** Money that is known already, as a receipt or a payout, is matched: posting would count it twice. */
export const actionOf = (proposal: Proposal): "post" | "match" =>
  proposal.payment_id || proposal.payment_ids?.length || proposal.payout_id ? "match" : "post";

import type { Schemas } from "../../api/client";
import type { IconName } from "../../kit/Icon.svelte";
import type { Key } from "../../words/index.svelte";

type Payment = Pick<Schemas["PaymentView"], "status" | "reconciliation">;

/** A payment counts as paid only when the provider's own record agrees with it. */
export function stateOf(payment: Payment): { tone: string; icon: IconName; word: Key } {
  switch (payment.status) {
    case "succeeded":
      return payment.reconciliation === "matched"
        ? { tone: "paid", icon: "paid", word: "payments.confirmed" }
        : { tone: "progress", icon: "progress", word: "payments.awaiting" };
    case "requires_action":
      return { tone: "partial", icon: "clock", word: "payments.your_bank" };
    case "declined":
      return { tone: "overdue", icon: "x", word: "payments.declined" };
    case "cancelled":
      return { tone: "", icon: "x", word: "payments.cancelled" };
    case "expired":
      return { tone: "", icon: "x", word: "payments.expired" };
    default:
      return { tone: "progress", icon: "progress", word: "payments.submitted" };
  }
}

import { t } from "../../words/index.svelte";
import type { Method } from "./queries";

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

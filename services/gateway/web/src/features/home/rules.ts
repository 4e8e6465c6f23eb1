import type { IconName } from "../../kit/Icon.svelte";
import { dayOf, instant, longDay, money } from "../../kit/say.svelte";
import type { Key, Values } from "../../words/index.svelte";
import { nameOf } from "../methods/rules";
import type { Notice } from "./queries";

type Looks = { icon: IconName; tone: string; act: Key | null };

const LOOKS: Record<Notice["code"], Looks> = {
  payment_needs_confirmation: { icon: "clock", tone: "partial", act: "home.go_on" },
  payment_not_confirmed: { icon: "clock", tone: "overdue", act: "home.see_payment" },
  payment_returned: { icon: "overdue", tone: "overdue", act: "home.see_payment" },
  payment_disputed: { icon: "flag", tone: "overdue", act: "home.see_payment" },
  autopay_held: { icon: "clock", tone: "partial", act: "home.see_methods" },
  method_expired: { icon: "card", tone: "partial", act: "home.see_methods" },
  method_expires_soon: { icon: "card", tone: "partial", act: "home.see_methods" },
  method_unverified: { icon: "bank", tone: "soft", act: "home.see_methods" },
};

export const looksOf = (notice: Notice): Looks => LOOKS[notice.code] ?? { icon: "overdue", tone: "soft", act: null };

/** The notice's values as they are read: amounts, days and methods in words. */
export function valuesOf({ values }: Notice): Values {
  const said: Record<string, string | number> = { ...values };
  if (values["currency"]) said["amount"] = money(Number(values["amount_minor"]), String(values["currency"]));
  if (values["expected_by"]) said["day"] = longDay(String(values["expected_by"]));
  if (values["at"]) said["day"] = longDay(dayOf(String(values["at"])));
  if (values["act_by"]) said["until"] = instant(String(values["act_by"]));
  if (values["kind"] === "card" || values["kind"] === "bank_account")
    said["method"] = nameOf({ kind: values["kind"], last4: String(values["last4"] ?? "????") });
  return said;
}

import type { Problem } from "../api/problems";
import { sentenceOf } from "../words/api.svelte";
import type { Values } from "../words/index.svelte";
import { faultsOf } from "./fault";
import { longDay, money } from "./say.svelte";

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Why a payment was declined or went back: the provider's code, or ours, in words. */
export const reasonOf = (code: string): string => reasonWords(code) || code.replaceAll("_", " ");
/** Empty where it is no code, as what the company wrote for its own records. */
export const reasonWords = (code: string): string => sentenceOf("reason", code, {}, "");

/** The values of one of the API's sentences as they are read: amounts and days in words; `why` is its reason. */
export function readable(values: Readonly<Record<string, unknown>>): Values {
  const read: Record<string, string | number> = { why: "" };
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "number") read[name] = value;
    else if (typeof value === "string") read[name] = DAY.test(value) ? longDay(value) : value;
    else if (value && typeof value === "object" && "amount_minor" in value && "currency" in value)
      read[name] = money(Number(value.amount_minor), String(value.currency));
  }
  if (read["currency"] && "amount_minor" in values)
    read["amount"] = money(Number(values["amount_minor"]), String(values["currency"]));
  if (read["reason"]) read["why"] = `: ${reasonOf(String(read["reason"]))}`;
  return read;
}

/** What is wrong and what to do. */
export const detailOf = (problem: Problem): string =>
  sentenceOf("problem", problem.type.split(":").at(-1) ?? "", problem.values ?? {}, problem.detail);

type Line = { code: string; values: Readonly<Record<string, unknown>>; text: string };
type Next = { next_step: string | null; next_step_code: string | null; next_step_values: Line["values"] };
export type Timeline = Next & { items: (Line & { at: string })[] };
export type Part = "invoice" | "payment" | "next";

/** A line of a timeline, or what comes next. The sentence with a day is `…_by`. */
export function lineOf(part: Part, { code, values, text }: Line): string {
  const read = readable(values);
  return sentenceOf(part, read["by"] ? `${code}_by` : code, read, text);
}

/** What comes next, as a line. */
export const nextOf = (timeline: Next): Line => ({
  code: timeline.next_step_code ?? "",
  values: timeline.next_step_values,
  text: timeline.next_step ?? "",
});

/** What is wrong with one field of a request; empty: nothing. */
export const faultOf = (error: unknown, field: string): string =>
  faultsOf(error, field)
    .map((one) => sentenceOf("fault", one.code ?? "", one.values ?? {}, one.message))
    .join(" ");

import type { Schemas } from "../../api/client";
import type { Wanted } from "../support/queries";
import { ended } from "../support/rules";

export const QUEUES = ["us", "mine", "nobody", "all"] as const;
type Queue = (typeof QUEUES)[number];
export const KINDS = [
  "request",
  "question",
  "payment",
  "dispute",
] as const satisfies readonly Schemas["TicketView"]["kind"][];

/** The queue that the address of the page asks for. */
export const queueIn = (asked: unknown): Queue => QUEUES.find((one) => one === asked) ?? "us";

/** What a queue holds. Tickets that ended stand on the last one alone. */
export const WANTED: Record<Queue, Wanted> = {
  us: { status: "waiting_for_us" },
  mine: { status: "unsolved", assignee: "me" },
  nobody: { status: "unsolved", assignee: "nobody" },
  all: {},
};

export const kindIn = (asked: unknown): Schemas["TicketView"]["kind"] | undefined => KINDS.find((one) => one === asked);

type Somebody = Pick<Schemas["StaffMember"], "id" | "name" | "email" | "enabled">;

/** Who can be given a ticket, by name. Who can't log in any more stays only where the ticket is theirs. */
export const choicesOf = (staff: readonly Somebody[], assignee: string | null): { id: string; name: string }[] =>
  staff
    .filter((one) => one.enabled || one.id === assignee)
    .map((one) => ({ id: one.id, name: one.name ?? one.email }))
    .sort((a, b) => a.name.localeCompare(b.name));

/** From so many saved replies on, a field finds among them. */
export const FINDS_FROM = 11;

/** The saved replies that have all of these words, in the title or in the text. */
export function matching<Reply extends { title: string; text: string }>(
  replies: readonly Reply[],
  typed: string,
): Reply[] {
  const words = typed.toLowerCase().split(/\s+/);
  return replies.filter((one) => {
    const whole = `${one.title} ${one.text}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

type Mergeable = Pick<Schemas["TicketView"], "id" | "kind" | "status" | "merged_into">;

/** Whether a ticket can be merged into another one. */
export const canMerge = (ticket: Mergeable): boolean => ticket.kind !== "dispute" && ticket.merged_into === null;

/** Those of a customer's tickets into which this one can be merged. */
export const targetsOf = <Row extends Mergeable>(tickets: readonly Row[], ticket: { id: string }): Row[] =>
  tickets.filter((one) => one.id !== ticket.id && canMerge(one) && !ended(one));

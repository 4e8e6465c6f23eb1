import type { Schemas } from "../../api/client";
import type { Wanted } from "../support/queries";

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

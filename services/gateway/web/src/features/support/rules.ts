import type { Schemas } from "../../api/client";
import type { IconName } from "../../kit/Icon.svelte";
import type { Key } from "../../words/index.svelte";

type Status = Schemas["TicketView"]["status"];
type Event = Schemas["TicketEvent"];
type Look = { tone: string; icon: IconName; word: Key };

export const STATUSES = ["new", "open", "waiting_for_you", "solved", "closed"] as const satisfies readonly Status[];

/** The status that the address of the page asks for; undefined: every one. */
export const statusIn = (asked: unknown): Status | undefined => STATUSES.find((one) => one === asked);

const LOOKS: Record<Status, Omit<Look, "word">> = {
  new: { tone: "", icon: "talk" },
  open: { tone: "progress", icon: "talk" },
  waiting_for_you: { tone: "partial", icon: "clock" },
  solved: { tone: "paid", icon: "paid" },
  closed: { tone: "", icon: "x" },
};

/** What a ticket's status is called: the customer reads "Waiting for you", the desk whom it waits for. */
export const lookOf = (status: Status, desk: boolean): Look => ({
  ...LOOKS[status],
  word: desk && status === "waiting_for_you" ? "support.s_waiting_for_customer" : `support.s_${status}`,
});

export const ended = (ticket: { status: Status }): boolean => ticket.status === "solved" || ticket.status === "closed";

/** Whether a reply reopens an ended ticket. `today` and `dayOf`: by the company's days. */
export const reopens = (
  ticket: { reopens_until: string | null },
  today: string,
  dayOf: (at: string) => string,
): boolean => ticket.reopens_until !== null && today <= dayOf(ticket.reopens_until);

type Answered = { status: Status; merged_into: Schemas["TicketView"]["merged_into"] };

/** What becomes of a reply to a ticket that is over; undefined: nothing of note. `back`: whether a reply reopens it. */
export function fateOfReply(ticket: Answered, back: boolean): Key | undefined {
  if (ticket.merged_into) return "support.reply_merged";
  if (!ended(ticket)) return undefined;
  return back ? "support.reply_reopens" : "support.reply_follows";
}

/** Whether something was written; everything else is a line between the messages. */
export const isMessage = (event: Event): boolean => ["asked", "replied", "noted"].includes(event.event);

/** Who wrote it, as this reader says it. `me`: the reader; `ours`: on which side the reader is. */
export function authorOf(by: Event["by"], me: string | undefined, ours: "customer" | "company"): Key {
  if (by.on_behalf) return "support.for_customer";
  if (by.id === me) return "support.you";
  if (by.side === "system") return "support.by_itself";
  if (by.side === "company") return by.kind === "system" ? "support.by_program" : "support.of_company";
  if (by.kind === "system") return "support.by_program";
  return ours === "company" ? "support.by_customer" : "support.of_customer";
}

/** The sentence of something that happened beside what was written. `named`: it is known who did it. */
export function sentenceOf(event: Event, named: boolean): Key {
  switch (event.event) {
    case "assigned":
      return event.assignee ? "support.e_assigned" : "support.e_unassigned";
    case "escalated":
      return "support.e_escalated";
    case "solved":
      return named ? "support.e_solved_by" : "support.e_solved";
    case "closed":
      if (event.by.side === "system" && event.text) return "support.e_closed_payment";
      return named ? "support.e_closed_by" : "support.e_closed";
    case "under_review":
    case "accepted":
    case "rejected":
    case "withdrawn":
      return `disputes.e_${event.event}`;
    case "merged":
    case "took_in":
      return `support.e_${event.event}`;
    default:
      return named ? "support.e_reopened_by" : "support.e_reopened";
  }
}

/** What a page that could not be shown hands on to a new ticket. */
export type Fault = { at: string; page: string; request: string | null };

const LONGEST = 300;

/** What the address of a new ticket says about an error; null: it comes from none. */
export function faultIn(search: string): Fault | null {
  const given = new URLSearchParams(search);
  const [at = "", page = "", request] = ["at", "page", "request"].map((name) => given.get(name)?.slice(0, LONGEST));
  if (Number.isNaN(Date.parse(at)) || !page.startsWith("/")) return null;
  return { at, page, request: request || null };
}

/** What is sent: the words of who asks, and below them the facts that the page filled in. */
export const detailsOf = (words: string, facts: readonly (readonly [string, string])[]): string =>
  [words.trim(), facts.map(([name, value]) => `${name}: ${value}`).join("\n")].filter(Boolean).join("\n\n");

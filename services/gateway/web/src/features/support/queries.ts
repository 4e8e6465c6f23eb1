import { createQuery, keepPreviousData } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { once } from "../../api/once";
import { queries } from "../../api/queries";
import type { paths } from "../../api/schema";
import { awaitsNote } from "../disputes/rules";

export type Ticket = Schemas["TicketDetail"];
export type TicketRow = Schemas["TicketView"];
export type TicketEvent = Schemas["TicketEvent"];
export type NewTicket = Schemas["NewTicket"];
export type Reply = Schemas["Reply"];
export type Question = Schemas["Question"];
export type Wanted = NonNullable<paths["/v1/tickets"]["get"]["parameters"]["query"]>;

const NOTE_MS = 3_000;

export const one = (ticket_id: string) => ({ path: { ticket_id } });
const under = (key: string) => ({ header: { "Idempotency-Key": key } });

export const ticketsQuery = (wanted: () => Wanted) =>
  createQuery(() => ({
    queryKey: ["tickets", "list", wanted()],
    queryFn: () => ask(api.GET("/v1/tickets", { params: { query: { ...wanted(), limit: 50 } } })),
    placeholderData: keepPreviousData,
  }));

export const ticketQuery = (id: () => string) =>
  createQuery(() => ({
    queryKey: ["tickets", "one", id()],
    queryFn: () => ask(api.GET("/v1/tickets/{ticket_id}", { params: one(id()) })),
    // The event of a credit note may be here before support has heard of it.
    refetchInterval: ({ state }) => (awaitsNote(state.data?.dispute) ? NOTE_MS : false),
  }));

/** What `once` keeps of a request until its answer is known. */
export const NEW = "ticket";
export const replyTo = (ticket_id: string, internal = false): string => `${internal ? "note" : "reply"}-${ticket_id}`;

export const questionOn = (invoice_id: string): string => `question-${invoice_id}`;

export const openTicket = (body: NewTicket): Promise<Ticket> =>
  once(NEW, body, (body, key) => ask(api.POST("/v1/tickets", { body, params: under(key) })));

/** The answer is another ticket, which follows this one, if this one ended too long ago. */
export const reply = (ticket_id: string, body: Reply): Promise<Ticket> =>
  once(replyTo(ticket_id, body.internal), body, (body, key) =>
    ask(api.POST("/v1/tickets/{ticket_id}/replies", { body, params: { ...one(ticket_id), ...under(key) } })),
  );

export const askQuestion = (invoice_id: string, question: Question): Promise<Ticket> =>
  once(questionOn(invoice_id), question, (body, key) =>
    ask(api.POST("/v1/invoices/{invoice_id}/questions", { body, params: { path: { invoice_id }, ...under(key) } })),
  );

/** A second request changes nothing, so that a lost answer may be asked for again. */
export const solve = (id: string): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/solve", { params: one(id) }));
export const close = (id: string): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/close", { params: one(id) }));
export const reopen = (id: string): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/reopen", { params: one(id) }));

/** Show a ticket as an answer has it, and read the lists anew. */
export function keepTicket(ticket: Ticket): void {
  queries.setQueryData(["tickets", "one", ticket.id], ticket);
  void queries.invalidateQueries({ queryKey: ["tickets", "list"] });
}

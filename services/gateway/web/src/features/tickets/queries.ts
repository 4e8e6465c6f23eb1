import { createQuery } from "@tanstack/svelte-query";
import { api, ask, type Schemas } from "../../api/client";
import { queries } from "../../api/queries";
import { one, type Ticket } from "../support/queries";

/** `assignee`: an id, `me`, or null for nobody. A second request changes nothing. */
export const assign = (id: string, assignee: string | null): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/assign", { params: one(id), body: { assignee } }));

export const escalate = (id: string, reason: string): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/escalate", { params: one(id), body: reason ? { reason } : undefined }));

export type StaffMember = Schemas["StaffMember"];

/** The answer is the ticket that was merged; the other one has changed, too. */
export const merge = (id: string, into: string): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/merge", { params: one(id), body: { into } }));

export type SavedReply = Schemas["SavedReplyView"];
export type SavedReplyText = Schemas["SavedReplyText"];

const SAVED = ["desk", "saved-replies"];

export const savedRepliesQuery = () =>
  createQuery(() => ({
    queryKey: SAVED,
    queryFn: () => ask(api.GET("/v1/saved-replies")),
  }));

/** `id`: of one that is there; null: a new one. */
export const saveReply = (id: string | null, body: SavedReplyText): Promise<SavedReply> =>
  ask(
    id
      ? api.PUT("/v1/saved-replies/{saved_reply_id}", { params: { path: { saved_reply_id: id } }, body })
      : api.POST("/v1/saved-replies", { body }),
  );

export const deleteReply = (saved_reply_id: string): Promise<unknown> =>
  ask(api.DELETE("/v1/saved-replies/{saved_reply_id}", { params: { path: { saved_reply_id } } }));

export const readSavedAnew = (): Promise<void> => queries.invalidateQueries({ queryKey: SAVED });

import { api, ask, type Schemas } from "../../api/client";
import { one, type Ticket } from "../support/queries";

/** `assignee`: an id, `me`, or null for nobody. A second request changes nothing. */
export const assign = (id: string, assignee: string | null): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/assign", { params: one(id), body: { assignee } }));

export const escalate = (id: string, reason: string): Promise<Ticket> =>
  ask(api.POST("/v1/tickets/{ticket_id}/escalate", { params: one(id), body: reason ? { reason } : undefined }));

export type StaffMember = Schemas["StaffMember"];

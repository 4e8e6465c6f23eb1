import { queries, SESSION } from "../api/queries";
import type { Session } from "../api/session";

/** Each person has its own: two people may use one browser. */
function keyOf(list: string): string {
  const session = queries.getQueryData<Session | null>(SESSION);
  return `paidup.list.${session?.contact?.id ?? session?.staff?.id ?? ""}.${list}`;
}

/** How the person last looked at a list in this browser; null: never otherwise than usual. */
export const keptLook = (list: string): string | null => localStorage.getItem(keyOf(list));
export const keepLook = (list: string, look: unknown): void => localStorage.setItem(keyOf(list), JSON.stringify(look));

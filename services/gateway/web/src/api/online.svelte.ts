import { api } from "./client";

let since = $state<number | null>(navigator.onLine ? null : Date.now());

/** Since when nobody answers; null: what is shown is what is known. */
export const cutSince = (): number | null => since;
/** Whether the browser itself knows that it has no network. */
export const offline = (): boolean => since !== null && !navigator.onLine;

/** A request got no answer, also not when it was asked again. */
export const lost = (): void => void (since ??= Date.now());
const reached = (): void => void (since = null);

addEventListener("offline", lost);
addEventListener("online", reached);
api.use({ onResponse: reached });

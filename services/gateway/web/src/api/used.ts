import { api } from "./client";

const KEY = "paidup.used";

/** When a request of this browser was last answered: each one keeps the session alive, whichever tab made it. */
export const lastUsed = (): number => Number(localStorage.getItem(KEY) ?? 0);

api.use({
  onResponse({ response }) {
    if (response.ok) localStorage.setItem(KEY, String(Date.now()));
  },
});

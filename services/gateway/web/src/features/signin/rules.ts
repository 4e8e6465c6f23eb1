/** The digits of a code that was typed or pasted with spaces. */
export const digitsOf = (text: string): string => text.replace(/\D/g, "");

/** The page to go back to: one of ours, never another site's. */
export function back(wanted: unknown): string {
  const path = typeof wanted === "string" ? wanted : "/";
  return /^\/(?![/\\])/.test(path) && !path.startsWith("/login") ? path : "/";
}

const KEY = "paidup.email";
/** The address is kept in this tab alone, from one page of signing in to the next. */
export const remember = (email: string): void => sessionStorage.setItem(KEY, email);
export const remembered = (): string => sessionStorage.getItem(KEY) ?? "";

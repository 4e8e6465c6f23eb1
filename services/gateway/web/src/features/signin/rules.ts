import { Refused } from "../../api/problems";

/** The digits of a code that was typed or pasted with spaces. */
export const digitsOf = (text: string): string => text.replace(/\D/g, "");

/** The page to go back to: one of ours, never another site's. Browsers leave tabs and line ends out of an address. */
export function back(wanted: unknown): string {
  const path = typeof wanted === "string" ? wanted : "/";
  return /^\/(?![/\\])[^\p{Cc}]*$/u.test(path) && !path.startsWith("/login") ? path : "/";
}

/** Whether this error is about what stands in a field: it is said there, not in a box. */
export const isAbout = (error: unknown, slug: string): error is Refused =>
  error instanceof Refused && error.slug === slug;

const EMAIL = "paidup.email";
/** The address is kept in this tab alone, from one page of signing in to the next. */
export const remember = (email: string): void => sessionStorage.setItem(EMAIL, email);
export const remembered = (): string => sessionStorage.getItem(EMAIL) ?? "";

const LINK = "paidup.link";
/** The payer link by which somebody signs in, so that a new code is asked for in the same way. */
export const cameBy = (link: string | null): void =>
  link === null ? sessionStorage.removeItem(LINK) : sessionStorage.setItem(LINK, link);
export const link = (): string | null => sessionStorage.getItem(LINK);

const GOAL = "paidup.to";
/** The page that was asked for. The link in a mail opens a new tab, so it is kept in the browser. */
export const aimAt = (path: string): void => localStorage.setItem(GOAL, path);

/** Where to go now that somebody is signed in; it counts once. */
export function goal(asked: unknown): string {
  const kept = localStorage.getItem(GOAL);
  localStorage.removeItem(GOAL);
  return back(asked ?? kept);
}

/** Seconds that are still to be waited, as 0:07. */
export const countdown = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

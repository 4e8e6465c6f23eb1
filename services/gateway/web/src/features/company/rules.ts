/** What a key may do, in groups, as the page offers it. */
export const SCOPES = [
  "customers:read",
  "customers:write",
  "contacts:read",
  "contacts:write",
  "invoices:read",
  "invoices:write",
  "links:write",
  "methods:read",
  "methods:write",
  "payments:read",
  "payments:write",
  "tickets:read",
  "tickets:write",

  "mails:read",
  "mails:write",
  "visits:read",
  "visits:write",
  "events:read",
  "dead-letters:read",
  "company:write",
  "staff:read",
  "staff:write",
  "keys:write",
  "*",
] as const;
export type Scope = (typeof SCOPES)[number];

/** The name of a scope's sentence among the words. */
export const wordOf = (scope: Scope): string => (scope === "*" ? "s_all" : `s_${scope.replace(/[:-]/g, "_")}`);

const DAY = 86_400_000;

/** When a key ends that lasts so many days from `now`; null: it has no end. */
export const endsIn = (days: number, now: number): string | null =>
  days ? new Date(now + days * DAY).toISOString() : null;

export const LONGEST_LOGO = 200_000; // characters of the data URL that the API takes
export const LOGO_KINDS = ["image/svg+xml", "image/png"];

/** Why a picture can't be the logo; null when it can. `size`: its bytes. */
export function wrongLogo(kind: string, size: number): "logo_kind" | "logo_size" | null {
  if (!LOGO_KINDS.includes(kind)) return "logo_kind";
  const head = `data:${kind};base64,`.length;
  return head + 4 * Math.ceil(size / 3) > LONGEST_LOGO ? "logo_size" : null;
}

/** A colour that somebody typed, as the API writes it; null when it is none. */
export function colourOf(text: string): string | null {
  const bare = text.trim().replace(/^#?/, "#").toLowerCase();
  return /^#[0-9a-f]{6}$/.test(bare) ? bare : null;
}

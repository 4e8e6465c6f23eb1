/** Amounts are integers of minor units (cents, yen). No amount becomes a float here. */

export const digitsOf = (currency: string): number =>
  format("en", currency, "currency").resolvedOptions().maximumFractionDigits ?? 2;

/** The amount as decimal text: 123456 of USD is "1234.56". */
export function decimal(minor: number, currency: string): string {
  const digits = digitsOf(currency);
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return (minor < 0 ? "-" : "") + (digits ? `${whole}.${text.slice(-digits)}` : whole);
}

const formats = new Map<string, Intl.NumberFormat>();

function format(language: string, currency: string, style: "currency" | "decimal"): Intl.NumberFormat {
  const key = `${language} ${currency} ${style}`;
  let found = formats.get(key);
  if (!found) {
    const own: Intl.NumberFormatOptions =
      style === "currency"
        ? { style, currency, currencyDisplay: "narrowSymbol" }
        : { minimumFractionDigits: digitsOf(currency), maximumFractionDigits: digitsOf(currency) };
    formats.set(key, (found = new Intl.NumberFormat(language, { useGrouping: "always", ...own })));
  }
  return found;
}

/** With the currency's sign, as $1,234.56. */
export const money = (minor: number, currency: string, language: string): string =>
  format(language, currency, "currency").format(decimal(minor, currency) as unknown as number);

/** Without it, as 1,234.56, where the currency stands beside the number or above the column. */
export const figure = (minor: number, currency: string, language: string): string =>
  format(language, currency, "decimal").format(decimal(minor, currency) as unknown as number);

/** A rate as the API writes it: "0.03" is 3%. */
export const percent = (rate: string, language: string): string =>
  new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 3 }).format(rate as unknown as number);

/** A currency's name, as "US dollars". */
export const currencyName = (currency: string, language: string): string =>
  new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay: "name" })
    .formatToParts(2)
    .find((part) => part.type === "currency")?.value ?? currency;

/**
 * The amount that somebody typed in the language's way of writing, in minor units. Signs of currencies, spaces and
 * separators of thousands are allowed. Null when it is no amount, or has more digits than the currency.
 */
export function parseMoney(text: string, currency: string, language: string): number | null {
  const parts = new Intl.NumberFormat(language).formatToParts(1234567.8);
  const point = parts.find((part) => part.type === "decimal")?.value ?? ".";
  const group = parts.find((part) => part.type === "group")?.value ?? ",";
  const bare = text
    .replace(/^\s*(\p{Sc}|[A-Z]{3})?\s*|\s*(\p{Sc}|[A-Z]{3})?\s*$/gu, "")
    .replace(/[\s\u00a0\u202f'’]/gu, group); // written between thousands, and nowhere else
  const [whole = "", part = "", more] = bare.split(point);
  const grouped = whole.split(group);
  const digits = digitsOf(currency);
  if (more !== undefined || part.length > digits || !/^\d*$/.test(part)) return null;
  if (grouped.slice(1).some((one) => one.length !== 3) || !/^\d+$/.test(grouped.join(""))) return null;
  const minor = Number(grouped.join("") + part.padEnd(digits, "0"));
  return Number.isSafeInteger(minor) ? minor : null;
}

/** Days come as YYYY-MM-DD and belong to no zone; instants are shown in the company's zone. */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: string, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language} ${zone} ${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found) formats.set(key, (found = new Intl.DateTimeFormat(language, { timeZone: zone, ...options })));
  return found;
}

const noon = (day: string): Date => new Date(`${day}T12:00:00Z`);

/** As "Aug 15, 2026". */
export const shortDay = (day: string, language: string): string =>
  format(language, "UTC", { dateStyle: "medium" }).format(noon(day));

/** As "Friday, November 20"; with the year when it is another than today's. */
export const longDay = (day: string, today: string, language: string): string =>
  format(language, "UTC", {
    weekday: "long",
    month: "long",
    day: "numeric",
    ...(day.slice(0, 4) === today.slice(0, 4) ? {} : { year: "numeric" }),
  }).format(noon(day));

const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const DAY = { year: "numeric", month: "short", day: "numeric" } as const;
const TIME = { hour: "numeric", minute: "2-digit" } as const;

/** The moment in the zone, with the name of the zone where the reader's own clock shows another time. */
function moment(
  at: string,
  zone: string,
  language: string,
  options: Intl.DateTimeFormatOptions,
  reader: string,
): string {
  const [when, both] = [new Date(at), { ...DAY, ...TIME }];
  const same = format(language, zone, both).format(when) === format(language, reader, both).format(when);
  return format(language, zone, same ? options : { ...options, timeZoneName: "short" }).format(when);
}

/** As "Nov 17, 2026, 2:04 PM EST"; without "EST" for a reader whose clock shows this time. */
export const instant = (at: string, zone: string, language: string, reader = here): string =>
  moment(at, zone, language, { ...DAY, ...TIME }, reader);

/** As "2:04 PM EST"; without "EST" for a reader whose clock shows this time. */
export const clock = (at: string, zone: string, language: string, reader = here): string =>
  moment(at, zone, language, TIME, reader);

/** The day of an instant in a zone, as YYYY-MM-DD. */
export const dayOf = (at: string | number, zone: string): string =>
  format("en-CA", zone, { year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(at));

/** Whole days from one day to a later one. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((noon(to).getTime() - noon(from).getTime()) / 86_400_000);

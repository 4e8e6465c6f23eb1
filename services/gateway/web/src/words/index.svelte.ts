import { speakSentences } from "./api.svelte";
import type first from "./en";
import type desk from "./en.desk";
import type support from "./en.support";
import { languageOf, LANGUAGES, type Language } from "./languages";

export { LANGUAGES, type Language };
export type Values = Readonly<Record<string, string | number>>;

type English = typeof first & typeof desk & typeof support;
type Catalogue = { [F in keyof English]: Record<keyof English[F], string> };
type Whole<K> = K extends `${infer Start}_one` | `${infer Start}_other` ? Start : K;
/** `<feature>.<name>`. A sentence with a number has the names `…_one` and `…_other`, and is asked for without these. */
export type Key = { [F in keyof Catalogue & string]: `${F}.${Whole<keyof Catalogue[F] & string>}` }[keyof Catalogue &
  string];

type Loaders = Record<Language, () => Promise<{ default: Partial<Catalogue> }>>;

/** What every page needs, and what only some need: these come with the pages, see routes.ts. */
const loaders = {
  first: { en: () => import("./en"), es: () => import("./es") },
  desk: { en: () => import("./en.desk"), es: () => import("./es.desk") },
  support: { en: () => import("./en.support"), es: () => import("./es.support") },
} satisfies Record<string, Loaders>;
type Part = keyof typeof loaders;

let catalogue = $state.raw<Record<string, Record<string, string>>>({});
let language = $state<Language>("en");
let plurals = new Intl.PluralRules("en");
const parts = new Set<Part>(["first"]);
let shown: readonly Part[] = [];
let target: Language = "en";

const CHOSEN = "paidup.language"; // what somebody chose in this browser: it counts before all else
const THEIRS = "paidup.language.theirs"; // of who was signed in here last: the next load begins with it

/** The language of all words from now on. */
export function speak(wanted: Language): Promise<void> {
  speakSentences(wanted);
  target = wanted;
  return load().catch((error: unknown) => {
    target = language;
    throw error;
  });
}

/** Also these words, before the first page that needs them is shown. */
export async function alsoSpeak(part: Part): Promise<void> {
  if (shown.includes(part)) return;
  parts.add(part);
  await load();
}

async function load(): Promise<void> {
  const [now, which] = [target, [...parts]];
  const found = await Promise.all(which.map((part) => loaders[part][now]()));
  if (now !== target || which.length !== parts.size) return load(); // more was asked for meanwhile
  catalogue = Object.assign({}, ...found.map((one) => one.default)) as typeof catalogue;
  plurals = new Intl.PluralRules(now);
  [language, shown] = [now, which];
  document.documentElement.lang = now;
}

export function spoken(): Language {
  return language;
}

/** Before it is known who reads: what was chosen here, the language of the mail whose link was opened, the browser's. */
export function languageAtFirst(): Language {
  const ofMail = new URLSearchParams(location.search).get("language");
  return languageOf([localStorage.getItem(CHOSEN), ofMail, localStorage.getItem(THEIRS), ...navigator.languages]);
}

export function chooseLanguage(wanted: Language): Promise<void> {
  localStorage.setItem(CHOSEN, wanted);
  return speak(wanted);
}

/** Whether somebody was ever signed in with this browser. */
export const anybodyWasHere = (): boolean => localStorage.getItem(THEIRS) !== null;

/** Somebody is signed in: the pages are in that person's language, unless another one was chosen in this browser. */
export async function speakTo(theirs: string): Promise<void> {
  localStorage.setItem(THEIRS, theirs);
  const wanted = languageOf([localStorage.getItem(CHOSEN), theirs]);
  if (wanted !== language) await speak(wanted).catch(() => undefined); // better in another language than not at all
}

/** The sentence, with its values put in. `count` chooses between one and several. */
export function t(key: Key, values: Values = {}): string {
  const [feature, name] = key.split(".") as [string, string];
  const words = catalogue[feature] ?? {};
  const count = values["count"];
  const text = words[name] ?? words[`${name}_${plurals.select(Number(count))}`] ?? words[`${name}_other`];
  return text === undefined ? key : text.replace(/\{(\w+)\}/g, (_, value: string) => String(values[value] ?? ""));
}

/** A sentence for a code that the API gives; its own text where the code is a newer one. */
export function said(feature: keyof Catalogue, code: string, values: Values, otherwise: string): string {
  const found = t(`${feature}.${code}` as Key, values);
  return found === `${feature}.${code}` ? otherwise : found;
}

import { speakSentences } from "./api.svelte";
import type en from "./en";

export const LANGUAGES = { en: "English", es: "Español" } as const;
export type Language = keyof typeof LANGUAGES;
export type Values = Readonly<Record<string, string | number>>;

type Catalogue = { [F in keyof typeof en]: Record<keyof (typeof en)[F], string> };
type Whole<K> = K extends `${infer Start}_one` | `${infer Start}_other` ? Start : K;
/** `<feature>.<name>`. A sentence with a number has the names `…_one` and `…_other`, and is asked for without these. */
export type Key = { [F in keyof Catalogue & string]: `${F}.${Whole<keyof Catalogue[F] & string>}` }[keyof Catalogue &
  string];

const loaders: Record<Language, () => Promise<{ default: Catalogue }>> = {
  en: () => import("./en"),
  es: () => import("./es"),
};

let catalogue = $state.raw<Record<string, Record<string, string>>>({});
let language = $state<Language>("en");
let plurals = new Intl.PluralRules("en");

/** The language of all words from now on, kept in this browser. */
export async function speak(wanted: Language): Promise<void> {
  speakSentences(wanted);
  catalogue = (await loaders[wanted]()).default;
  plurals = new Intl.PluralRules(wanted);
  language = wanted;
  document.documentElement.lang = wanted;
}

export function spoken(): Language {
  return language;
}

/** The one that was chosen here, else the first of the browser's that there is. */
export function languageOfBrowser(): Language {
  const wanted = [localStorage.getItem("paidup.language") ?? "", ...navigator.languages];
  return wanted.map((one) => one.slice(0, 2)).find((one): one is Language => one in LANGUAGES) ?? "en";
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

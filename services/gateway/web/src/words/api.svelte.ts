import type english from "./api.en.json";
import type { Language, Values } from "./index.svelte";

type Part = keyof typeof english;
type Sentences = Record<Part, Record<string, string>>;

const loaders: Record<Language, () => Promise<{ default: Sentences }>> = {
  en: () => import("./api.en.json"),
  es: () => import("./api.es.json"),
};
let sentences = $state.raw<Sentences | null>(null);
let language: Language = "en";
let asked: Language | null = null;

/** From now on in this language. They are loaded when the first one is needed; until then the API's own text is shown. */
export function speakSentences(wanted: Language): void {
  language = wanted;
  if (asked && asked !== wanted) void load();
}

async function load(): Promise<void> {
  const wanted = (asked = language);
  try {
    const found = (await loaders[wanted]()).default;
    if (wanted === language) sentences = found;
  } catch {
    asked = null; // the next one that is needed tries again
  }
}

/** The sentence of a code of the API. Where it has none, or a value of it is missing: `otherwise`, the API's own text. */
export function sentenceOf(part: Part, code: string, values: Values, otherwise: string): string {
  if (!asked) void load();
  const found = sentences?.[part][code];
  if (found === undefined || [...found.matchAll(/\{(\w+)\}/g)].some(([, name]) => !(name! in values))) return otherwise;
  return found.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

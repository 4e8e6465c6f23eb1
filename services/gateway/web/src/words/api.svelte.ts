import type english from "./api.en.json";
import type { Language, Values } from "./index.svelte";

type Part = keyof typeof english;
type Sentences = Record<Part, Record<string, string>>;

const loaders: Record<Language, () => Promise<{ default: Sentences }>> = {
  en: () => import("./api.en.json"),
  es: () => import("./api.es.json"),
};
let sentences = $state.raw<Sentences | null>(null);

/** The sentences of the API's codes. Not awaited by the first page: until they are here, the API's own text is shown. */
export async function loadSentences(language: Language): Promise<void> {
  try {
    sentences = (await loaders[language]()).default;
  } catch {
    sentences = null;
  }
}

/** The sentence of a code of the API. Where it has none, or a value of it is missing: `otherwise`, the API's own text. */
export function sentenceOf(part: Part, code: string, values: Values, otherwise: string): string {
  const found = sentences?.[part][code];
  if (found === undefined || [...found.matchAll(/\{(\w+)\}/g)].some(([, name]) => !(name! in values))) return otherwise;
  return found.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export const LANGUAGES = { en: "English", es: "Español" } as const;
export type Language = keyof typeof LANGUAGES;

/** The first wish that the portal speaks. A wish may name a country too, as es-MX; null: there is none. */
export const languageOf = (wishes: readonly (string | null)[]): Language =>
  wishes.map((wish) => wish?.slice(0, 2) ?? "").find((one): one is Language => Object.hasOwn(LANGUAGES, one)) ?? "en";

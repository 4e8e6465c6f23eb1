import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import apiEn from "./api.en.json";
import apiEs from "./api.es.json";
import en from "./en";
import enDesk from "./en.desk";
import enSupport from "./en.support";
import es from "./es";
import esDesk from "./es.desk";
import esSupport from "./es.support";

type Words = Record<string, Record<string, string>>;
const english: Words = { ...en, ...enDesk, ...enSupport };
const spanish: Words = { ...es, ...esDesk, ...esSupport };
const values = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

describe.each(Object.keys(english))("the words of %s", (feature) => {
  test("are the same ones in both languages", () => {
    expect(Object.keys(spanish[feature]!).sort()).toEqual(Object.keys(english[feature]!).sort());
  });

  test("hold the same values in both languages", () => {
    for (const [name, text] of Object.entries(english[feature]!))
      expect([name, values(spanish[feature]![name]!)]).toEqual([name, values(text)]);
  });

  test("have both numbers where they have one", () => {
    const names = Object.keys(english[feature]!);
    for (const name of names.filter((one) => one.endsWith("_one")))
      expect(names).toContain(name.replace(/_one$/, "_other"));
  });
});

const codesOf = (sentences: Words): Words => {
  const { problem: _, fault: __, ...both } = sentences; // the API's own English has more than its code says
  return both;
};

describe.each(Object.keys(codesOf(apiEn)))("the sentences of the API: %s", (part) => {
  test("are the same ones in both languages, with the same values", () => {
    const [inEnglish, inSpanish] = [(apiEn as Words)[part]!, (apiEs as Words)[part]!];
    const shapes = (sentences: Record<string, string>) =>
      Object.fromEntries(Object.entries(sentences).map(([code, text]) => [code, values(text)]));
    expect(shapes(inSpanish)).toEqual(shapes(inEnglish));
  });
});

describe("words that come with some pages", () => {
  const src = new URL("..", import.meta.url);
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => /\.(svelte|ts)$/.test(name));
  const later = [...Object.keys(enDesk), ...Object.keys(enSupport)];
  const pages = new RegExp(`^features/(${later.join("|")})/|\\.test\\.ts$`);
  const word = new RegExp(`["\`](${later.join("|")})\\.[a-z_]+`);

  test.each(files.filter((name) => !pages.test(name)))("are not used by %s, which every page may need", (name) => {
    expect(word.exec(readFileSync(new URL(name, src), "utf8"))?.[0]).toBeUndefined();
  });
});

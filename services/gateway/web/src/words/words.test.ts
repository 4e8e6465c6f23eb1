import { describe, expect, test } from "vitest";
import apiEn from "./api.en.json";
import apiEs from "./api.es.json";
import en from "./en";
import enDesk from "./en.desk";
import es from "./es";
import esDesk from "./es.desk";

type Words = Record<string, Record<string, string>>;
const english: Words = { ...en, ...enDesk };
const spanish: Words = { ...es, ...esDesk };
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

import { describe, expect, test } from "vitest";
import en from "./en";
import es from "./es";

type Words = Record<string, Record<string, string>>;
const english: Words = en;
const spanish: Words = es;
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

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { brandOf, centsOf, expiryOf } from "./rules";
import words from "./words.en.json";

describe("a small deposit is read", () => {
  test.each(["32", "0.32", ".32", "$0.32", "0,32", " $ 0.32 "])("from %s", (text) => {
    expect(centsOf(text)).toBe(32);
  });

  test.each(["", "0", "0.00", "1.32", "132", "0.3", "abc"])("not from %s", (text) => {
    expect(centsOf(text)).toBeNull();
  });
});

test("a card's last month stands as on the card", () => {
  expect(expiryOf("2034-12")).toBe("12/2034");
});

test.each([
  ["visa", "Visa"],
  ["cartes_bancaires", "cartes_bancaires"],
])("the brand %s is written %s", (brand, written) => {
  expect(brandOf(brand)).toBe(written);
});

describe("what is agreed to is what the evidence will say", () => {
  const kept = readFileSync("../../payments/payments/methods/consent_texts.toml", "utf8");
  const newest = (kind: string): string =>
    [...kept.matchAll(/\[\[(\w+)\]\]\nversion = ".*"\ntext = "(.*)"/g)].filter((one) => one[1] === kind).at(-1)![2]!;

  test.each(["terms", "autopay"] as const)("%s", (kind) => {
    expect(words[`${kind}_text`]).toBe(newest(kind));
  });
});

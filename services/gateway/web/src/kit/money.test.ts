import { describe, expect, test } from "vitest";
import { currencyName, decimal, figure, money, parseMoney, percent } from "./money";

describe("amounts are shown", () => {
  test("with the currency's own digits", () => {
    expect(money(123456, "USD", "en")).toBe("$1,234.56");
    expect(money(2248900, "JPY", "en")).toBe("¥2,248,900");
    expect(figure(5, "USD", "en")).toBe("0.05");
    expect(figure(-1234, "BHD", "en")).toBe("-1.234");
  });

  test("exactly, beyond what a float holds", () => {
    expect(decimal(900719925474099, "USD")).toBe("9007199254740.99");
    expect(money(900719925474099, "USD", "en")).toBe("$9,007,199,254,740.99");
  });

  test("with the currency's name", () => {
    expect(currencyName("USD", "en")).toBe("US dollars");
  });
});

test("rates are shown as percent", () => {
  expect(percent("0.03", "en")).toBe("3%");
  expect(percent("0.0725", "en")).toBe("7.25%");
});

describe("amounts are read", () => {
  test.each([
    ["1,234.56", "USD", "en", 123456],
    ["$1,234.5", "USD", "en", 123450],
    ["1.234,56", "EUR", "es", 123456],
    ["1234,5 €", "EUR", "es", 123450],
    ["1'234.50", "USD", "en", 123450],
    ["USD 1 234.50", "USD", "en", 123450],
    ["5000", "JPY", "en", 5000],
    ["0.01", "USD", "en", 1],
  ] as const)("%s in %s (%s)", (text, currency, language, minor) => {
    expect(parseMoney(text, currency, language)).toBe(minor);
  });

  test.each([
    ["", "USD"],
    ["1.234", "USD"],
    ["1,23", "USD"],
    ["12.50", "JPY"],
    ["-5", "USD"],
    ["1.2.3", "USD"],
    ["ten", "USD"],
    ["12'50", "USD"],
    ["12 50", "USD"],
  ] as const)("%j in %s is no amount", (text, currency) => {
    expect(parseMoney(text, currency, "en")).toBeNull();
  });

  test("as they were shown", () => {
    for (const minor of [0, 1, 99, 100, 123456, 900719925474099])
      for (const [currency, language] of [
        ["USD", "en"],
        ["EUR", "es"],
        ["JPY", "en"],
      ] as const)
        expect(parseMoney(figure(minor, currency, language), currency, language)).toBe(minor);
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { colourOf, endsIn, LONGEST_LOGO, SCOPES, wordOf, wrongLogo } from "./rules";
import en from "./words.en.json";

test("every scope of the services is offered and explained", () => {
  const text = readFileSync(new URL("../../../../../../contracts/services.toml", import.meta.url), "utf8");
  const lists = [...text.matchAll(/^scopes = \[([^\]]*)\]/gm)].map((found) => found[1] ?? "");
  const known = lists.flatMap((list) => [...list.matchAll(/"([^"]+)"/g)].map((found) => found[1]));
  expect(known.length).toBeGreaterThan(15);
  expect([...SCOPES].sort()).toEqual([...known, "*"].sort());
  expect(SCOPES.map(wordOf).filter((word) => !(word in en))).toEqual([]);
});

describe("a key", () => {
  test("ends after whole days", () => {
    expect(endsIn(90, Date.UTC(2026, 0, 1))).toBe("2026-04-01T00:00:00.000Z");
  });

  test("without days has no end", () => {
    expect(endsIn(0, 0)).toBeNull();
  });
});

describe("a logo", () => {
  test("of another kind is refused", () => {
    expect(wrongLogo("image/gif", 10)).toBe("logo_kind");
    expect(wrongLogo("", 10)).toBe("logo_kind");
  });

  test("is as large as the API takes it at most", () => {
    const head = "data:image/png;base64,".length;
    const most = Math.floor((LONGEST_LOGO - head) / 4) * 3;
    expect(wrongLogo("image/png", most)).toBeNull();
    expect(wrongLogo("image/png", most + 3)).toBe("logo_size");
  });
});

test("a colour is read with and without its sign", () => {
  expect(colourOf(" 0E5358 ")).toBe("#0e5358");
  expect(colourOf("#0e5358")).toBe("#0e5358");
  expect(colourOf("green")).toBeNull();
});

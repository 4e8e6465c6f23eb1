import { describe, expect, test } from "vitest";
import { back, digitsOf } from "./rules";

test("a code may be pasted with spaces", () => {
  expect(digitsOf(" 407 215\n")).toBe("407215");
});

describe("after signing in the reader goes", () => {
  test("back to the page that was asked for", () => {
    expect(back("/invoices?tab=open")).toBe("/invoices?tab=open");
  });

  test.each(["//evil.example", "/\\evil.example", "https://evil.example", "/login", null])("home, not to %s", (to) => {
    expect(back(to)).toBe("/");
  });

  test.each(["%09", "%0A", "%0D", "%00"])("home, not past a sign that browsers leave out: %s", (sign) => {
    const to = new URLSearchParams(`to=/${sign}/evil.example`).get("to");
    expect(back(to)).toBe("/");
  });
});

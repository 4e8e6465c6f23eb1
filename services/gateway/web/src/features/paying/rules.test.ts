import { describe, expect, test } from "vitest";
import { keyOf, sumOf, wishOf, wrongAmount } from "./rules";

describe("what is ticked", () => {
  const payable = { a: 351625, b: 146000 };

  test("counts whole, or with its edited amount", () => {
    expect(sumOf({ a: null, b: 100 }, payable)).toBe(351725);
    expect(sumOf({}, payable)).toBe(0);
  });

  test("becomes the wish for a quote", () => {
    expect(wishOf({ a: null, b: 100 }, "USD", true)).toEqual({
      currency: "USD",
      use_credit: true,
      all: false,
      invoices: [
        { invoice_id: "a", amount_minor: null },
        { invoice_id: "b", amount_minor: 100 },
      ],
    });
  });
});

test("an edited amount is more than nothing and at most what is payable", () => {
  expect(wrongAmount(null, 500)).toBe("no_amount");
  expect(wrongAmount(0, 500)).toBe("nothing");
  expect(wrongAmount(501, 500)).toBe("too_much");
  expect(wrongAmount(500, 500)).toBeNull();
});

test("the same quote and answer have the same key in every tab", () => {
  expect(keyOf("q", true)).toBe(keyOf("q", true));
  expect(keyOf("q", true)).not.toBe(keyOf("q", false));
});

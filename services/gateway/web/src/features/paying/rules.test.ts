import { describe, expect, test } from "vitest";
import { Refused, undecided, Unreachable } from "../../api/problems";
import { inDoubt, keyOf, stillShows, sumOf, wishOf, wrongAmount } from "./rules";

const refused = (status: number) =>
  new Refused({ type: "urn:paidup:problem:any", status, title: "No", detail: "No.", request_id: "r" });

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

test("the same choice and answer have the same key in every tab", () => {
  expect(keyOf("q", true)).toBe(keyOf("q", true));
  expect(keyOf("q", null)).toBe(keyOf("q", true));
  expect(keyOf("q", true)).not.toBe(keyOf("q", false));
});

describe("a confirmation without an answer", () => {
  const mine = { wish: wishOf({ a: null }, "USD", false), once: "o", methodId: "m", quoteId: "q" };

  test("is in doubt until its outcome is known", () => {
    expect(inDoubt({ ...mine, sent: null })).toEqual({ once: "o", quoteId: "q", consent: null });
    expect(inDoubt({ ...mine, sent: false })).toEqual({ once: "o", quoteId: "q", consent: false });
    expect(inDoubt(mine)).toBeNull();
    expect(inDoubt(null)).toBeNull();
  });

  test("stays in doubt where only the door answers", () => {
    expect(undecided(refused(401))).toBe(true);
    expect(undecided(refused(429))).toBe(true);
    expect(undecided(refused(504))).toBe(true);
    expect(undecided(refused(409))).toBe(false);
    expect(undecided(new Unreachable())).toBe(true);
  });
});

test("a quote shows for its own method until its last moments", () => {
  const quote = { method_id: "m", expires_at: "2026-03-01T12:00:00Z" };
  const end = Date.parse(quote.expires_at);
  expect(stillShows(quote, "m", end - 60_000)).toBe(true);
  expect(stillShows(quote, "m", end - 4_000)).toBe(false);
  expect(stillShows(quote, "other", end - 60_000)).toBe(false);
});

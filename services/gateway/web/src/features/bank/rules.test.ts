import { describe, expect, test } from "vitest";
import { newShare } from "../receipts/rules";
import { actionOf, byWhom, postOf, restOf, undoable, waysOf, type Part } from "./rules";

const parse = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);
const part = (customer: string | null, text: string, more: Partial<Part> = {}): Part => ({
  ...newShare(customer),
  id: 0,
  text,
  ...more,
});

describe("a proposal", () => {
  const bare = { payment_id: null, payment_ids: [], payout_id: null };

  test("of new money is posted", () => {
    expect(actionOf(bare)).toBe("post");
  });

  test("of money that is known is matched", () => {
    expect(actionOf({ ...bare, payment_id: "p" })).toBe("match");
    expect(actionOf({ ...bare, payment_ids: ["p", "q"] })).toBe("match");
    expect(actionOf({ ...bare, payout_id: "po_1" })).toBe("match");
  });
});

describe("an exception", () => {
  const about = { line: null, amount_minor: 5, payment_id: null, provider_id: null, payout_line_id: null };
  const line = {
    run_id: "r",
    place: "1",
    account: "a",
    booked_on: null,
    amount_minor: 5,
    references: [],
    text: "",
    payer: null,
  };

  test("about money that came is posted or matched", () => {
    expect(waysOf({ ...about, line })).toEqual(["post", "match"]);
  });

  test("about money that went out is only matched", () => {
    expect(waysOf({ ...about, line, amount_minor: -5 })).toEqual(["match"]);
  });

  test("about a payment is accepted as the provider has it", () => {
    expect(waysOf({ ...about, payment_id: "p" })).toEqual(["accept"]);
    expect(waysOf({ ...about, payment_id: "p", provider_id: "re_1" })).toEqual([]);
  });

  test("can be undone while all of its payment is here", () => {
    const payment = { id: "p", customer_id: "c", customer_name: null, amount_minor: 5, gone_back_minor: 0 };
    const note = { at: "", actor: "", action: "post", detail: null };
    const decided = { state: "resolved" as const, payments: [payment], trail: [note] };
    expect(undoable(decided)).toEqual([payment]);
    expect(undoable({ ...decided, payments: [{ ...payment, gone_back_minor: 1 }] })).toEqual([]);
    expect(undoable({ ...decided, trail: [{ ...note, action: "match" }] })).toEqual([]);
  });
});

describe("a line posted by hand", () => {
  test("is all of one customer", () => {
    expect(postOf([part("c", "")], 9, parse)).toEqual({
      action: "post",
      customer_id: "c",
      invoices: [],
      on_account: false,
    });
  });

  test("is split into shares that sum to it", () => {
    const parts = [part("c", "5"), part("d", "4", { how: "credit" })];
    expect(restOf(parts, 9, parse)).toBe(0);
    expect(postOf(parts, 9, parse)).toMatchObject({
      shares: [
        { customer_id: "c", amount_minor: 5, on_account: false },
        { customer_id: "d", amount_minor: 4, on_account: true },
      ],
    });
    expect(postOf(parts, 8, parse)).toBe("not_the_sum");
    expect(postOf(parts, 10, parse)).toBe("not_the_sum");
  });

  test("names what is wrong with a part", () => {
    expect(postOf([part(null, "")], 9, parse)).toEqual({ part: 0, wrong: "no_customer" });
    expect(postOf([part("c", "5"), part("d", "x")], 9, parse)).toEqual({ part: 1, wrong: "no_amount" });
    expect(postOf([part("c", "5"), part("c", "4")], 9, parse)).toBe("same_customer");
  });
});

test("a trail names who did it, a program, or nobody", () => {
  const made = { role: "administrator" as const, language: "en", enabled: true, created_at: "2026-03-01T12:00:00Z" };
  const staff = [{ ...made, id: "s1", email: "max@paidup.example", name: "Max Roe" }];
  expect(byWhom("staff:s1", staff)).toBe("Max Roe");
  expect(byWhom("staff:s2", staff)).toBe("bank.by_staff");
  expect(byWhom("system:payments", staff)).toBe("bank.by_itself");
  expect(byWhom("system:key-1", staff)).toBe("bank.by_program");
});

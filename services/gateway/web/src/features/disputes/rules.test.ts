import { describe, expect, it } from "vitest";
import {
  awaitsNote,
  beyond,
  disputable,
  effectOf,
  heldOf,
  inDispute,
  leftOf,
  linesOf,
  lookOf,
  queueIn,
  restOf,
  sumOf,
  undecided,
  wrongAmount,
} from "./rules";

describe("what is disputed", () => {
  const invoice = { total_minor: 10_000, payable_now_minor: 9_000 };

  it("is the whole invoice or the chosen lines, at most the total", () => {
    expect(sumOf(invoice, true, { 1: 5 })).toBe(10_000);
    expect(sumOf(invoice, false, { 1: 6_000, 3: null })).toBe(6_000);
    expect(sumOf(invoice, false, { 1: 6_000, 2: 5_000 })).toBe(10_000);
  });

  it("is held as far as it is owed and not held already", () => {
    expect(heldOf({ balance_minor: 9_000, disputed_minor: 0 }, 4_000)).toBe(4_000);
    expect(heldOf({ balance_minor: 9_000, disputed_minor: 6_000 }, 4_000)).toBe(3_000);
    expect(heldOf({ balance_minor: 0, disputed_minor: 0 }, 10_000)).toBe(0);
  });

  it("leaves the rest to be paid", () => {
    expect(restOf(invoice, 4_000)).toBe(5_000);
    expect(restOf(invoice, 10_000)).toBe(0);
  });

  it("is sent as lines by their place", () => {
    expect(linesOf(true, { 1: 5 })).toEqual([]);
    expect(linesOf(false, { 2: 400 })).toEqual([{ line: 2, amount_minor: 400 }]);
  });

  it("is at most what the line comes to", () => {
    expect([null, 0, 400, 401].map((minor) => wrongAmount(minor, 400))).toEqual([
      "no_amount",
      "no_amount",
      null,
      "too_much",
    ]);
  });

  it("is with other disputes and credit notes at most the total", () => {
    const other = (
      status: "open" | "under_review" | "accepted" | "rejected" | "withdrawn",
      amount_minor: number | null,
    ) => ({
      status,
      amount_minor,
    });
    const others = [other("open", 4_000), other("under_review", 1_000), other("accepted", 2_000), other("open", null)];
    expect(leftOf(invoice, others)).toBe(3_000);
    expect(leftOf(invoice, [other("rejected", 4_000), other("withdrawn", 5_000)])).toBe(10_000);
    expect(leftOf(invoice, [other("accepted", 12_000)])).toBe(0);
    expect([beyond({ 1: 2_000, 2: 1_000, 3: null }, 3_000), beyond({ 1: 3_001 }, 3_000)]).toEqual([false, true]);
  });

  it("is of an invoice that is or was owed", () => {
    expect(["open", "in_progress", "paid", "void"].map((status) => disputable({ status: status as "open" }))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe("accepting", () => {
  it("says what it does before it is done", () => {
    const then = (applied_minor: number, credit_minor: number, waits = false) => ({
      if_accepted: { applied_minor, credit_minor, waits },
    });
    expect(effectOf(then(300, 0))).toEqual([{ word: "disputes.do_applied", minor: 300 }]);
    expect(effectOf(then(100, 200)).map((one) => one.word)).toEqual(["disputes.do_applied", "disputes.do_credit"]);
    expect(effectOf(then(0, 0, true))).toEqual([{ word: "disputes.do_waits", minor: 0 }]);
    expect(effectOf({ if_accepted: null })).toEqual([{ word: "disputes.do_unknown", minor: 0 }]);
    expect(effectOf(then(0, 0))).toEqual([{ word: "disputes.do_nothing", minor: 0 }]);
  });
});

describe("a dispute", () => {
  it("has a word and an icon for each status", () => {
    expect(lookOf("under_review").word).toBe("disputes.s_under_review");
    expect(undecided({ status: "under_review" })).toBe(true);
    expect(undecided({ status: "rejected" })).toBe(false);
  });

  it("awaits its credit note once it is accepted", () => {
    const note = { number: "CN-1", amount_minor: 1, applied_minor: 1 };
    expect(awaitsNote({ status: "accepted", credit_note: null, nothing_to_credit: false })).toBe(true);
    expect(awaitsNote({ status: "accepted", credit_note: note, nothing_to_credit: false })).toBe(false);
    expect(awaitsNote({ status: "accepted", credit_note: null, nothing_to_credit: true })).toBe(false);
    expect(awaitsNote({ status: "open", credit_note: null, nothing_to_credit: false })).toBe(false);
  });

  it("stands in the queue of the address", () => {
    expect(queueIn("all")).toBe("all");
    expect(queueIn("x")).toBe("open");
  });
});

it("holds a line by its own dispute, or by one of the whole invoice, until that is decided", () => {
  const line = { line: 2, amount_minor: null };
  expect(inDispute([{ status: "open", lines: [line] }], 2)).toBe(true);
  expect(inDispute([{ status: "open", lines: [line] }], 1)).toBe(false);
  expect(inDispute([{ status: "under_review", lines: [] }], 1)).toBe(true);
  expect(inDispute([{ status: "rejected", lines: [] }], 1)).toBe(false);
});

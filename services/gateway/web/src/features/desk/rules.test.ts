import { describe, expect, test } from "vitest";
import { actionOf, stateOf } from "./rules";

describe("a customer", () => {
  test("is overdue when one currency is", () => {
    const balances = [
      { outstanding_minor: 500, overdue_minor: 0 },
      { outstanding_minor: 7, overdue_minor: 7 },
    ];
    expect(stateOf(balances).word).toBe("desk.overdue");
  });

  test("has something due when nothing is late", () => {
    expect(stateOf([{ outstanding_minor: 500, overdue_minor: 0 }]).word).toBe("desk.due");
  });

  test("has nothing open when nothing is owed", () => {
    expect(stateOf([]).word).toBe("desk.nothing_open");
  });
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

import { describe, expect, test } from "vitest";
import { askedOf, leftOf, newShare, takenOf, underWay, type Share } from "./rules";

const parse = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);
const chosen = (amounts: Record<string, string>): Share => ({ customer: "c", how: "chosen", amounts });

describe("a share of money", () => {
  test("needs a customer and an amount", () => {
    expect(askedOf(newShare(), 5, parse)).toBe("no_customer");
    expect(askedOf(newShare("c"), null, parse)).toBe("no_amount");
    expect(askedOf(newShare("c"), 0, parse)).toBe("no_amount");
  });

  test("pays the oldest first, or becomes credit", () => {
    expect(askedOf(newShare("c"), 5, parse)).toMatchObject({ invoices: [], on_account: false });
    expect(askedOf({ ...newShare("c"), how: "credit" }, 5, parse)).toMatchObject({ invoices: [], on_account: true });
  });

  test("pays chosen invoices with their amounts", () => {
    expect(askedOf(chosen({ a: "3", b: "2" }), 9, parse)).toMatchObject({
      invoices: [
        { invoice_id: "a", amount_minor: 3 },
        { invoice_id: "b", amount_minor: 2 },
      ],
    });
  });

  test("can't pay more than came, nor nothing", () => {
    expect(askedOf(chosen({ a: "3", b: "3" }), 5, parse)).toBe("too_much");
    expect(askedOf(chosen({ a: "x" }), 5, parse)).toBe("wrong_part");
    expect(askedOf(chosen({ a: "0" }), 5, parse)).toBe("wrong_part");
    expect(askedOf(chosen({}), 5, parse)).toBe("none_chosen");
  });
});

describe("money that goes back", () => {
  const part = (invoice_id: string, amount_minor: number) => ({ invoice_id, number: invoice_id, amount_minor });
  const payment = { credit_minor: 10, allocations: [part("old", 50), part("new", 40)] };

  test("takes credit first, then what was paid last", () => {
    expect(takenOf(payment, 10)).toEqual({ credit: 10, invoices: [] });
    expect(takenOf(payment, 30)).toEqual({ credit: 10, invoices: [part("new", 20)] });
    expect(takenOf(payment, 70)).toEqual({ credit: 10, invoices: [part("new", 40), part("old", 20)] });
  });

  test("is under way until the books have followed", () => {
    const refund = { status: "succeeded", amount_minor: 30 };
    const shown = (credit_minor: number, paid: number, reason: string | null = null) =>
      underWay({
        ...{ status: "succeeded", reconciliation: "matched", reason, amount_minor: 90, credit_minor },
        ...{ credit_used_minor: 0, reversed_minor: 30, allocations: [part("old", paid)] },
        ...{ gone_back: [], credit_allocations: [], reversals: reason ? [] : [refund] },
      } as unknown as Parameters<typeof underWay>[0]);
    expect([shown(20, 70), shown(0, 70), shown(0, 60)]).toEqual([true, true, false]);
    expect([shown(0, 90, "voided"), shown(0, 0, "voided")]).toEqual([true, false]);
  });

  test("is no more than is left", () => {
    const back = (status: "succeeded" | "failed" | "won" | "requested", amount_minor: number) => ({
      status,
      amount_minor,
    });
    const reversals = [back("succeeded", 20), back("failed", 30), back("requested", 5), back("won", 9)];
    expect(leftOf({ amount_minor: 100, reversals: reversals as Parameters<typeof leftOf>[0]["reversals"] })).toBe(75);
  });
});

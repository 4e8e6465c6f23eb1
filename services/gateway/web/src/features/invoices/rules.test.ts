import { describe, expect, test } from "vitest";
import { chosen, lookOf, movedOn, tabSearch, toggled } from "./rules";

const address = (search: string) => (name: string) => new URLSearchParams(search).get(name);

describe("what the address asks for", () => {
  test("is taken as far as it is known", () => {
    expect(chosen(address("tab=open&status=overdue&currency=USD&age=over_90&q=77&sort=total"))).toEqual({
      tab: "open",
      status: "overdue",
      currency: "USD",
      age: "over_90",
      q: "77",
      sort: "total",
    });
    expect(chosen(address("tab=mine&status=late&currency=dollars&age=old&sort=colour"))).toEqual({
      tab: "all",
      sort: "-issued_on",
    });
  });

  test("sorts as last chosen, unless the address says how", () => {
    expect(chosen(address(""), "balance").sort).toBe("balance");
    expect(chosen(address("sort=number"), "balance").sort).toBe("number");
    expect(chosen(address("tab=open")).sort).toBe("due_on");
  });

  test("stays when another tab is chosen", () => {
    expect(tabSearch("paid", chosen(address("tab=open&status=unpaid&q=77")))).toBe("?tab=paid&status=unpaid&q=77");
    expect(tabSearch("all", chosen(address("tab=open")))).toBe("");
  });
});

describe("how a person looks at the list", () => {
  test("is what was kept, as far as it is known", () => {
    const kept = { columns: ["total", "po", "colour"], compact: true, sort: "-balance" };
    expect(lookOf(JSON.stringify(kept))).toEqual({ columns: ["po", "total"], compact: true, sort: "-balance" });
  });

  test.each([null, "", "{", "[]", "7", '{"columns": 3}'])("is the usual one after %s", (text) => {
    expect(lookOf(text)).toEqual({ columns: ["po", "issued_on", "due_on", "status", "total"], compact: false });
  });

  test("switches a column off, and on at its place", () => {
    const without = toggled(lookOf(null), "issued_on");
    expect(without.columns).toEqual(["po", "due_on", "status", "total"]);
    expect(toggled(without, "issued_on").columns).toEqual(["po", "issued_on", "due_on", "status", "total"]);
  });
});

describe("a row is washed with colour", () => {
  const one = (id: string, status: string) => ({ id, status });

  test("when its invoice moves on, not when another page comes", () => {
    const before = [one("a", "open"), one("b", "open")];
    expect([...movedOn(before, [one("a", "in_progress"), one("b", "open"), one("c", "paid")])]).toEqual(["a"]);
    expect([...movedOn(before, [one("c", "paid"), one("d", "open")])]).toEqual([]);
    expect([...movedOn([], before)]).toEqual([]);
  });
});

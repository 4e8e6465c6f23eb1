import { describe, expect, test } from "vitest";
import { chosen, halfway, lookOf, rowsOf, tabSearch, toggled, type Row } from "./rules";

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

describe("a row of the list", () => {
  const one = (id: string, status: string) => ({ id, status });
  const keys = (rows: ReadonlyMap<string, Row>) => [...rows].map(([id, row]) => `${id}${row.key}`);
  const first = rowsOf(new Map(), [one("a", "open"), one("b", "open"), one("c", "paid")]);

  test("stays its invoice's while it is shown", () => {
    expect(keys(first)).toEqual(["a1", "b2", "c3"]);
    expect(keys(rowsOf(first, [one("d", "open"), one("c", "paid"), one("a", "open")]))).toEqual(["d2", "c3", "a1"]);
  });

  test("is filled anew when another page comes", () => {
    expect(
      keys(
        rowsOf(
          first,
          ["e", "f", "g", "h"].map((id) => one(id, "open")),
        ),
      ),
    ).toEqual(["e1", "f2", "g3", "h4"]);
  });

  test("is a new one and washed when its invoice moves on, once", () => {
    const moved = rowsOf(first, [one("a", "in_progress"), one("b", "open"), one("d", "paid")]);
    expect(keys(moved)).toEqual(["a4", "b2", "d1"]);
    expect([...moved.values()].map((row) => row.washed)).toEqual([true, false, false]);
    expect([...rowsOf(moved, [one("a", "in_progress")]).values()]).toEqual([
      { key: 4, status: "in_progress", washed: false },
    ]);
  });
});

describe("on the way to another page", () => {
  const page = (from: number, count = 25) => Array.from({ length: count }, (_, n) => ({ id: `i${from + n}` }));

  test("the first rows are the new ones", () => {
    expect(halfway([], page(0))).toEqual(page(0, 12));
    expect(halfway(page(0), page(25))).toEqual([...page(25, 12), ...page(12, 13)]);
    expect(halfway(page(0), page(20))).toEqual([...page(20, 12), ...page(12, 8)]); // none twice
  });

  test("a short page and one that hardly changed come at once", () => {
    expect(halfway(page(0), page(25, 12))).toBeNull();
    expect(halfway(page(0), page(1))).toBeNull();
  });
});

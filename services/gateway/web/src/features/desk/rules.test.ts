import { describe, expect, test } from "vitest";
import { calledOf, decimalOf, laterBy, managersOf, offered, rateOf, stateOf, tabOf } from "./rules";

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

describe("an invoice", () => {
  const bare = { status: "open" as const, settled_minor: 0, credited_minor: 0, pending_minor: 0 };

  test("that is open is voided or mailed", () => {
    expect(offered(bare)).toEqual({ issue: false, void: true, mail: true });
  });

  test("of which a part is paid is not voided", () => {
    expect(offered({ ...bare, settled_minor: 1 }).void).toBe(false);
    expect(offered({ ...bare, pending_minor: 1 }).void).toBe(false);
  });

  test("that is a draft is issued, and not mailed", () => {
    expect(offered({ ...bare, status: "draft" })).toEqual({ issue: true, void: true, mail: false });
  });

  test("that is paid is only read", () => {
    expect(offered({ ...bare, status: "paid", settled_minor: 9 })).toEqual({ issue: false, void: false, mail: false });
  });
});

test("an unknown tab is all invoices", () => {
  expect(tabOf("draft")).toBe("draft");
  expect(tabOf("<b>")).toBe("all");
});

describe("a typed number", () => {
  test("has the decimal sign of its language", () => {
    expect(decimalOf("1.5", "en")).toBe("1.5");
    expect(decimalOf("1,5", "es")).toBe("1.5");
    expect(decimalOf(" 12 ", "es")).toBe("12");
  });

  test("with another sign is refused, not guessed", () => {
    expect(decimalOf("1,500", "en")).toBeNull();
    expect(decimalOf("1.500", "es")).toBeNull();
    expect(decimalOf("-1", "en")).toBeNull();
    expect(decimalOf("", "en")).toBeNull();
  });

  test("of percent becomes a fraction without floats", () => {
    expect(rateOf("8.25 %", "en")).toBe("0.0825");
    expect(rateOf("19", "es")).toBe("0.19");
    expect(rateOf("100", "en")).toBe("1.00");
    expect(rateOf("0,5", "es")).toBe("0.005");
    expect(rateOf("", "en")).toBe("0");
    expect(rateOf("eight", "en")).toBeNull();
  });
});

test("a day later than the end of February is right", () => {
  expect(laterBy("2028-02-20", 30)).toBe("2028-03-21");
});

describe("somebody of the company", () => {
  const staff = [
    { id: "s1", email: "max@paidup.example", name: "Max Roe" },
    { id: "s2", email: "ann@paidup.example", name: null },
  ];

  test("is called by name, else by address", () => {
    expect(calledOf("s1", staff)).toBe("Max Roe");
    expect(calledOf("max@paidup.example", staff)).toBe("Max Roe");
    expect(calledOf("s2", staff)).toBe("ann@paidup.example");
  });

  test("who is not known has no name", () => {
    expect(calledOf("s3", staff)).toBeNull();
  });
});

describe("account managers to choose of", () => {
  const staff = [
    { email: "max@paidup.example", name: "Max Roe", enabled: true },
    { email: "ann@paidup.example", name: null, enabled: true },
    { email: "old@paidup.example", name: "Bo Ek", enabled: false },
  ];
  const values = (now: string | null): string[] => managersOf(staff, now).map((one) => one.value);

  test("are those who can log in, by name", () => {
    expect(managersOf(staff, null)).toEqual([
      { value: "ann@paidup.example", name: "ann@paidup.example" },
      { value: "max@paidup.example", name: "Max Roe, max@paidup.example" },
    ]);
  });

  test("include who it is now, whoever wrote that", () => {
    expect(values("old@paidup.example")).toContain("old@paidup.example");
    expect(values("Ann of Sales")).toContain("Ann of Sales");
    expect(values("max@paidup.example")).toHaveLength(2);
  });
});

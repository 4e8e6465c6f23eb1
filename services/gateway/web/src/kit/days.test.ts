import { describe, expect, test } from "vitest";
import { clock, dayOf, daysBetween, longDay, shortDay } from "./days";

describe("days", () => {
  test("are shown as they are, in any zone", () => {
    expect(shortDay("2026-08-15", "en")).toBe("Aug 15, 2026");
    expect(longDay("2026-11-20", "2026-11-17", "en")).toBe("Friday, November 20");
    expect(longDay("2027-01-02", "2026-11-17", "en")).toBe("Saturday, January 2, 2027");
  });

  test("are counted across the change of the clock", () => {
    expect(daysBetween("2026-10-31", "2026-11-02")).toBe(2);
    expect(daysBetween("2026-11-17", "2026-08-15")).toBe(-94);
  });

  test("begin at midnight of the company's zone", () => {
    expect(dayOf("2026-11-18T04:59:00Z", "America/New_York")).toBe("2026-11-17");
    expect(dayOf("2026-11-18T05:01:00Z", "America/New_York")).toBe("2026-11-18");
  });
});

test("an instant is shown in the company's zone", () => {
  expect(clock("2026-11-17T19:04:00Z", "America/New_York", "en")).toMatch(/^2:04\sPM$/);
});

import { describe, expect, test } from "vitest";
import { clock, dayOf, daysBetween, instant, longDay, shortDay } from "./days";

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

describe("an instant is shown in the company's zone", () => {
  const at = "2026-11-17T19:04:00Z";

  test("with its name, for a reader whose clock shows another time", () => {
    expect(clock(at, "America/New_York", "en", "Europe/Berlin")).toMatch(/^2:04\sPM EST$/);
    expect(instant(at, "America/New_York", "en", "Europe/Berlin")).toMatch(/^Nov 17, 2026, 2:04\sPM EST$/);
    expect(instant(at, "Europe/Berlin", "en", "America/New_York")).toMatch(/^Nov 17, 2026, 8:04\sPM GMT\+1$/);
  });

  test("without it, for a reader whose clock shows this time", () => {
    expect(clock(at, "America/New_York", "en", "America/New_York")).toMatch(/^2:04\sPM$/);
    expect(instant(at, "America/New_York", "en", "America/Toronto")).toMatch(/^Nov 17, 2026, 2:04\sPM$/);
    expect(instant(at, "Europe/Madrid", "es", "Europe/Berlin")).toBe("17 nov 2026, 20:04");
  });
});

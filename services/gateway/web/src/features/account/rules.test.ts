import { describe, expect, test } from "vitest";
import { endOf } from "./rules";

const MINUTE = 60_000;
const readAt = Date.parse("2026-11-20T10:00:00Z");
const session = { expires_at: "2026-11-20T10:30:00Z", ends_at: "2026-11-20T22:00:00Z", readAt, usedAt: 0 };

describe("a session ends", () => {
  test("30 minutes after it was read", () => {
    expect(endOf(session)).toBe(readAt + 30 * MINUTE);
  });

  test("later when something was done meanwhile", () => {
    expect(endOf({ ...session, usedAt: readAt + 7 * MINUTE })).toBe(readAt + 37 * MINUTE);
  });

  test("at its last instant, however much it is used", () => {
    expect(endOf({ ...session, ends_at: "2026-11-20T10:20:00Z" })).toBe(readAt + 20 * MINUTE);
  });

  test.each([-90, 90])("not at once where the clock is wrong by %i minutes", (minutes) => {
    const there = readAt + minutes * MINUTE;
    expect(endOf({ ...session, readAt: there })).toBe(there + 30 * MINUTE);
  });
});

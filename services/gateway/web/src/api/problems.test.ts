import { describe, expect, test } from "vitest";
import { Refused, unsure, Unreachable, type Problem } from "./problems";

const refused = (status: number, slug: string) =>
  new Refused({ type: `urn:paidup:problem:${slug}`, status, title: "", detail: "" } as Problem);

describe("whether a change was made is", () => {
  test("unsure without an answer of who decides", () => {
    expect(unsure(new Unreachable())).toBe(true);
    expect(unsure(refused(504, "timeout"))).toBe(true);
    expect(unsure(refused(409, "request-in-progress"))).toBe(true);
  });

  test("sure after a refusal", () => {
    expect(unsure(refused(409, "quote-used"))).toBe(false);
    expect(unsure(refused(422, "invalid"))).toBe(false);
  });
});

import { describe, expect, test } from "vitest";
import type { TicketEvent } from "./queries";
import { authorOf, detailsOf, faultIn, isMessage, lookOf, reopens, sentenceOf, statusIn } from "./rules";

const by = { side: "customer", kind: "contact", id: "ana", name: "Ana", on_behalf: false } as const;
const event: TicketEvent = {
  at: "2026-03-01T10:00:00Z", event: "solved", by, text: null, internal: false, assignee: null, assignee_name: null,
  status: "solved", files: [], other: null,
}; // prettier-ignore

describe("the status of a ticket", () => {
  test("is named for who reads it", () => {
    expect(lookOf("waiting_for_you", false).word).toBe("support.s_waiting_for_you");
    expect(lookOf("waiting_for_you", true).word).toBe("support.s_waiting_for_customer");
    expect(lookOf("new", true).word).toBe("support.s_new");
  });

  test("is one that there is", () => {
    expect(statusIn("open")).toBe("open");
    expect(statusIn("lost")).toBeUndefined();
    expect(statusIn(null)).toBeUndefined();
  });

  test("can change back until its last day", () => {
    const dayOf = (at: string) => at.slice(0, 10);
    const ticket = { reopens_until: "2026-03-15T10:00:00Z" };
    expect(reopens(ticket, "2026-03-15", dayOf)).toBe(true);
    expect(reopens(ticket, "2026-03-16", dayOf)).toBe(false);
    expect(reopens({ reopens_until: null }, "2026-03-15", dayOf)).toBe(false);
  });
});

describe("who wrote", () => {
  test.each([
    [{ ...by, id: "me" }, "support.you"],
    [by, "support.of_customer"],
    [{ ...by, kind: "staff", id: "me", on_behalf: true }, "support.for_customer"],
    [{ ...by, side: "company", kind: "staff" }, "support.of_company"],
    [{ ...by, kind: "system" }, "support.by_program"],
    [{ ...by, side: "system", kind: "system", id: "support" }, "support.by_itself"],
  ] as const)("is said of %o", (who, word) => expect(authorOf(who, "me", "customer")).toBe(word));

  test("is the customer where the company reads", () => {
    expect(authorOf(by, "me", "company")).toBe("support.by_customer");
  });
});

describe("what happened", () => {
  test("is a message where something was written", () => {
    expect(["asked", "replied", "noted"].map((one) => isMessage({ ...event, event: one as "asked" }))).toEqual([
      true,
      true,
      true,
    ]);
    expect(isMessage(event)).toBe(false);
  });

  test("is said with a name where one is known", () => {
    expect(sentenceOf(event, true)).toBe("support.e_solved_by");
    expect(sentenceOf(event, false)).toBe("support.e_solved");
    expect(sentenceOf({ ...event, event: "reopened" }, false)).toBe("support.e_reopened");
    expect(sentenceOf({ ...event, event: "merged" }, true)).toBe("support.e_merged");
    expect(sentenceOf({ ...event, event: "took_in" }, true)).toBe("support.e_took_in");
    expect(sentenceOf({ ...event, event: "assigned" }, true)).toBe("support.e_unassigned");
    expect(sentenceOf({ ...event, event: "assigned", assignee: "bo" }, true)).toBe("support.e_assigned");
  });
});

describe("a ticket about an error", () => {
  const given = (values: Record<string, string>) => `?${new URLSearchParams(values).toString()}`;
  const at = "2026-11-17T19:11:07.000Z";

  test("knows the time, the page and the request", () => {
    const fault = { at, page: "/invoices?tab=open", request: "req_3kq7" };
    expect(faultIn(given(fault))).toEqual(fault);
    expect(faultIn(given({ at, page: "/" }))).toEqual({ at, page: "/", request: null });
  });

  test("is not made of other things", () => {
    expect(faultIn(given({}))).toBeNull();
    expect(faultIn(given({ at: "yesterday", page: "/" }))).toBeNull();
    expect(faultIn(given({ at, page: "https://elsewhere.example" }))).toBeNull();
    expect(faultIn(given({ at, page: "/" + "x".repeat(5_000) }))?.page.length).toBe(300);
  });

  test("says them below the words of who asks", () => {
    expect(detailsOf(" Help ", [["Time", "noon"], ["Page", "/"]])).toBe("Help\n\nTime: noon\nPage: /"); // prettier-ignore
    expect(detailsOf("Help", [])).toBe("Help");
    expect(detailsOf(" ", [["Time", "noon"]])).toBe("Time: noon");
  });
});

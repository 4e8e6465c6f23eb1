import { describe, expect, test } from "vitest";
import { canMerge, choicesOf, kindIn, matching, queueIn, QUEUES, targetsOf, WANTED } from "./rules";

describe("a queue", () => {
  test("is one that there is", () => {
    expect(queueIn("mine")).toBe("mine");
    expect(queueIn("theirs")).toBe("us");
    expect(queueIn(null)).toBe("us");
  });

  test("leaves out what has ended, but for the last one", () => {
    expect(QUEUES.filter((queue) => WANTED[queue].status === undefined)).toEqual(["all"]);
  });

  test("of a kind that there is", () => {
    expect(kindIn("question")).toBe("question");
    expect(kindIn("praise")).toBeUndefined();
  });
});

describe("who can be given a ticket", () => {
  const ana = { id: "1", name: "Ana", email: "ana@paidup.example", enabled: true };
  const bo = { id: "2", name: null, email: "bo@paidup.example", enabled: true };
  const gone = { id: "3", name: "Al", email: "al@paidup.example", enabled: false };

  test("has a name and can log in", () => {
    expect(choicesOf([bo, ana, gone], null)).toEqual([
      { id: "1", name: "Ana" },
      { id: "2", name: "bo@paidup.example" },
    ]);
  });

  test("stays while the ticket is theirs", () => {
    expect(choicesOf([ana, gone], "3").map((one) => one.name)).toEqual(["Al", "Ana"]);
  });
});

describe("saved replies", () => {
  const way = { title: "On its way", text: "Your order left our warehouse." };
  const refund = { title: "Refund", text: "The money is back in five days." };

  test("are found by words of title and text, in any case", () => {
    expect(matching([way, refund], "WAY order")).toEqual([way]);
    expect(matching([way, refund], "  ")).toEqual([way, refund]);
    expect(matching([way, refund], "way refund")).toEqual([]);
  });
});

describe("a merge", () => {
  const one = { id: "1", kind: "request", status: "open", merged_into: null } as const;

  test("leaves out disputes and what was merged", () => {
    expect(canMerge(one)).toBe(true);
    expect(canMerge({ ...one, kind: "dispute" })).toBe(false);
    expect(canMerge({ ...one, merged_into: { id: "2", number: "T-2" } })).toBe(false);
  });

  test("goes into another ticket that has not ended", () => {
    const other = { ...one, id: "2" };
    expect(targetsOf([one, other, { ...one, id: "3", status: "solved" }], one)).toEqual([other]);
  });
});

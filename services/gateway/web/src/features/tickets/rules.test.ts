import { describe, expect, test } from "vitest";
import { choicesOf, kindIn, queueIn, QUEUES, WANTED } from "./rules";

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

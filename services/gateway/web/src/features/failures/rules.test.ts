import { expect, test } from "vitest";
import { commandOf, retryOf } from "./rules";

test("a letter that waits is replayed in its service", () => {
  expect(commandOf("payments", { id: 7, state: "waiting" })).toBe("paidup dead-letters replay 7 --service payments");
});

test("an unreadable letter is skipped with a reason", () => {
  expect(commandOf("auth", { id: 9, state: "unreadable" })).toBe(
    'paidup dead-letters skip 9 --reason "…" --service auth',
  );
});

test("a task is tried again by its queue and id", () => {
  expect(retryOf("notify", { queue: "mails", id: "018f" })).toBe("python -m notify tasks retry mails 018f");
});

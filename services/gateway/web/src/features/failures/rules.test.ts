import { expect, test } from "vitest";
import { commandOf, retryOf, rowOfLetter, rowOfTask } from "./rules";

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

test("an unreadable letter and a task are not tried again", () => {
  const since = "2026-03-01T12:00:00Z";
  const letter = {
    id: 7,
    consumer: "payments",
    topic: "invoicing.customer.v1",
    partition: 2,
    offset: 40,
    sequence: null,
    type: null,
    error: "NotJson",
    attempts: null,
    created_at: since,
  };
  expect(rowOfLetter("payments", { ...letter, state: "unreadable" })).toMatchObject({
    place: "invoicing.customer.v1 2/40",
    lost: true,
    state: "failures.s_unreadable",
  });
  expect(rowOfLetter("payments", { ...letter, state: "waiting" }).lost).toBe(false);
  const task = { id: "018f", queue: "mails", error: null, attempts: 6, set_aside_at: since };
  expect(rowOfTask("notify", task)).toMatchObject({ name: "mails", lost: true, since, attempts: 6 });
});

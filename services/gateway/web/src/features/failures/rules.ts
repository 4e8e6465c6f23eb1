import type { Schemas } from "../../api/client";
import type { Key } from "../../words/index.svelte";

export const SERVICES = ["auth", "invoicing", "notify", "payments", "support"] as const;
type Service = (typeof SERVICES)[number];

/** An event or a task that could not be handled. `lost`: it is not tried again by itself. */
export type Row = {
  id: string;
  name: string | null;
  of: string;
  place: string;
  lost: boolean;
  state: Key;
  error: string | null;
  attempts: number | null;
  since: string;
  advice: Key;
  command: string;
};

/** The command that handles a letter once more. An unreadable one can only be skipped, with a reason. */
export const commandOf = (service: Service, letter: { id: number; state: string }): string =>
  letter.state === "unreadable"
    ? `paidup dead-letters skip ${letter.id} --reason "…" --service ${service}`
    : `paidup dead-letters replay ${letter.id} --service ${service}`;

/** The command that tries a task again. */
export const retryOf = (service: Service, task: { queue: string; id: string }): string =>
  `python -m ${service} tasks retry ${task.queue} ${task.id}`;

export const rowOfLetter = (service: Service, letter: Schemas["LetterView"]): Row => ({
  id: String(letter.id),
  name: letter.type,
  of: letter.consumer,
  place: `${letter.topic} ${letter.partition}/${letter.offset}`,
  lost: letter.state === "unreadable",
  state: `failures.s_${letter.state}`,
  error: letter.error,
  attempts: letter.attempts,
  since: letter.created_at,
  advice: `failures.do_${letter.state}`,
  command: commandOf(service, letter),
});

export const rowOfTask = (service: Service, task: Schemas["TaskView"]): Row => ({
  id: task.id,
  name: task.queue,
  of: "",
  place: task.id,
  lost: true,
  state: "failures.s_ended",
  error: task.error,
  attempts: task.attempts,
  since: task.set_aside_at,
  advice: "failures.do_task",
  command: retryOf(service, task),
});

export const SERVICES = ["auth", "invoicing", "notify", "payments"] as const;
type Service = (typeof SERVICES)[number];

/** The command that handles a letter once more. An unreadable one can only be skipped, with a reason. */
export const commandOf = (service: Service, letter: { id: number; state: string }): string =>
  letter.state === "unreadable"
    ? `paidup dead-letters skip ${letter.id} --reason "…" --service ${service}`
    : `paidup dead-letters replay ${letter.id} --service ${service}`;

/** The command that tries a task again. */
export const retryOf = (service: Service, task: { queue: string; id: string }): string =>
  `python -m ${service} tasks retry ${task.queue} ${task.id}`;

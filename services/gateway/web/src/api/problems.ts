import type { components } from "./schema";

type Schemas = components["schemas"];
export type Problem = Schemas["Problem"] & Partial<Schemas["Conflict"]>;

/** The API answered, and said no. `problem` is its own answer (RFC 9457). */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }

  /** The last part of the problem's type, as `step-up-required`. */
  get slug(): string {
    return this.problem.type.split(":").at(-1) ?? "";
  }
}

/** No answer came: the network or the system is away. Whether a change was made is not known. */
export class Unreachable extends Error {}

/** Whether a change may have been made all the same: nobody answered, or not who decides about it. */
export const unsure = (error: unknown): boolean =>
  error instanceof Refused
    ? error.problem.status >= 500 || error.slug === "request-in-progress"
    : error instanceof Unreachable;

const AT_THE_DOOR = new Set([401, 403, 408, 429]);

/** Whether an answer says nothing about an earlier, equal request: who decides about it was not reached. */
export const undecided = (error: unknown): boolean =>
  unsure(error) || (error instanceof Refused && AT_THE_DOOR.has(error.problem.status));

import { Refused, type Problem } from "../api/problems";

type Fault = NonNullable<Problem["errors"]>[number];

/** What the API says is wrong with a field, by the field's name in the request. */
export const faultsOf = (error: unknown, field: string): Fault[] =>
  error instanceof Refused
    ? (error.problem.errors ?? []).filter((one) => one.field === field || one.field.startsWith(`${field}.`))
    : [];

import { expect, test } from "vitest";
import { Refused, Unreachable } from "../api/problems";
import { faultsOf } from "./fault";

const refused = new Refused({
  type: "urn:paidup:problem:invalid-request",
  status: 422,
  title: "Invalid request",
  detail: "The name is missing.",
  request_id: "r1",
  errors: [
    { field: "name", message: "is missing" },
    { field: "scopes.0", message: "there is no such scope" },
  ],
});

const said = (error: unknown, field: string): string[] => faultsOf(error, field).map((one) => one.message);

test("a fault stands at its own field", () => {
  expect(said(refused, "name")).toEqual(["is missing"]);
  expect(said(refused, "email")).toEqual([]);
});

test("a fault of a part stands at the whole field", () => {
  expect(said(refused, "scopes")).toEqual(["there is no such scope"]);
});

test("an answer that never came is no field's fault", () => {
  expect(said(new Unreachable("offline"), "name")).toEqual([]);
});

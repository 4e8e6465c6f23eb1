import { expect, test } from "vitest";
import { Refused, Unreachable } from "../api/problems";
import { refusalOf } from "./tries";

const refused = (slug: string, values?: Record<string, string | number>) =>
  new Refused({ type: `urn:paidup:problem:${slug}`, status: 401, title: "", detail: "", request_id: "r", values });

test("a refused code says how many tries are left", () => {
  expect(refusalOf(refused("sign-in-refused", { tries_left: 3 }))).toEqual({
    word: "signin.tries_left",
    values: { count: 3 },
  });
});

test("the last refused code says that none is left", () => {
  expect(refusalOf(refused("sign-in-refused", { tries_left: 0 }))?.word).toBe("signin.no_tries_left");
});

test("a refused link has no tries", () => {
  expect(refusalOf(refused("sign-in-refused"))?.word).toBe("signin.wrong_code");
});

test("another trouble is no wrong code", () => {
  expect(refusalOf(refused("too-many-tries"))).toBeNull();
  expect(refusalOf(new Unreachable("offline"))).toBeNull();
});

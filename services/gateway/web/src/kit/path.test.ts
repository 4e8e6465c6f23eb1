import { expect, test } from "vitest";
import { paramsIn } from "./path";

test("a name has its part of the path as its value", () => {
  expect(paramsIn("/invoices/:id", "/invoices/a%20b")).toEqual({ id: "a b" });
});

test("a page below the pattern has the same values", () => {
  expect(paramsIn("/desk/customers/:id", "/Desk/customers/7/visits")).toEqual({ id: "7" });
});

test("another path is refused", () => {
  for (const path of ["/payments/7", "/invoices", "/invoices/", "/as/1/invoices/7"])
    expect(() => paramsIn("/invoices/:id", path)).toThrow("is not a path of /invoices/:id");
});

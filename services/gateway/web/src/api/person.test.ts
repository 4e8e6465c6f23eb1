import { beforeEach, expect, test, vi } from "vitest";
import { ownedBy } from "./person";

let kept: Record<string, string>;

beforeEach(() => {
  kept = {};
  const methods = {
    getItem: (name: string) => kept[name] ?? null,
    setItem: (name: string, text: string) => void (kept[name] = text),
    removeItem: (name: string) => void delete kept[name],
  };
  vi.stubGlobal(
    "sessionStorage",
    new Proxy(methods, {
      ownKeys: () => Object.keys(kept),
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    }),
  );
});

test("what somebody left unfinished stays theirs", () => {
  ownedBy("ana");
  kept["paidup.paying"] = "a choice";
  kept["paidup.once.receipt"] = "a receipt";
  ownedBy("ana");
  expect(Object.keys(kept)).toHaveLength(3);
  ownedBy("ben");
  expect(kept).toEqual({ "paidup.who": "ben" });
});

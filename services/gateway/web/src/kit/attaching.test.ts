import { describe, expect, test } from "vitest";
import { attached, idsOf, roomFor, sizeOf, waitsFor } from "./attaching";

const file = { ...attached(new File(["123456789"], "slip.pdf")), id: "f1" };

describe("files that are attached", () => {
  test("are sent by their ids once all have arrived", () => {
    expect(idsOf([file, { ...file, id: null }])).toEqual(["f1"]);
    expect(waitsFor([])).toBeNull();
    expect(waitsFor([file])).toBeNull();
    expect(waitsFor([file, { ...file, id: null }])).toBe("frame.file_under_way");
    expect(
      waitsFor([
        { ...file, id: null },
        { ...file, id: null, problem: "empty" },
      ]),
    ).toBe("frame.file_failed");
  });

  test("are ten at most", () => {
    expect([roomFor(0, 3), roomFor(8, 3), roomFor(10, 3), roomFor(12, 1)]).toEqual([3, 2, 0, 0]);
  });

  test("have a size that people read", () => {
    expect([0, 1, 98_304, 1_258_291].map((one) => sizeOf(one, "en"))).toEqual(
      ["0 KB", "1 KB", "96 KB", "1.2 MB"].map((one) => one.replace(" ", "\u00a0")),
    );
    expect(sizeOf(1_258_291, "es")).toBe("1,2\u00a0MB");
  });
});

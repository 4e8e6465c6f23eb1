import { describe, expect, test } from "vitest";
import { languageOf } from "./languages";

describe("the language is", () => {
  test("the first wish that the portal speaks", () => {
    expect(languageOf([null, "es", "en-US"])).toBe("es");
    expect(languageOf(["fr", "es-MX", "en"])).toBe("es");
  });

  test("English where no wish is spoken here", () => {
    expect(languageOf([])).toBe("en");
    expect(languageOf(["fr", "", null, "__proto__"])).toBe("en");
  });
});

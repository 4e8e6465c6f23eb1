import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { STALE } from "./events";

type Channels = Record<string, { messages: Record<string, unknown> }>;
const STREAMED =
  /^(invoicing_(invoice|reservation|settlement|credit|credit-note|outcomes)|payments_(payment|method|autopay)|support_(ticket|dispute))_v1$/;

test("every event that the stream can bring is known", () => {
  const text = readFileSync(new URL("../../../../../contracts/asyncapi.json", import.meta.url), "utf8");
  const { channels } = JSON.parse(text) as { channels: Channels };
  const types = Object.entries(channels)
    .filter(([name]) => STREAMED.test(name))
    .flatMap(([, channel]) => Object.keys(channel.messages));
  expect(types.length).toBeGreaterThan(30);
  expect(Object.keys(STALE).sort()).toEqual(types.sort());
});

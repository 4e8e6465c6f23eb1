import { beforeEach, describe, expect, test, vi } from "vitest";
import { awaitsAnswer, once, unanswered } from "./once";
import { Refused, Unreachable, type Problem } from "./problems";

const refused = (status: number) => new Refused({ type: "urn:x:no", status, detail: "no" } as Problem);

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("sessionStorage", {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, text: string) => kept.set(name, text),
    removeItem: (name: string) => kept.delete(name),
  });
  vi.stubGlobal("setTimeout", (act: () => void) => act());
});

/** A server that gives these answers, one after the other. */
function server(...answers: (string | Error)[]) {
  const sent: [unknown, string][] = [];
  const send = (body: unknown, key: string): Promise<string> => {
    sent.push([body, key]);
    const answer = answers.shift();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? "");
  };
  return { sent, send };
}

describe("a request that moves money", () => {
  test("is sent again under the same key when its answer was lost", async () => {
    const { sent, send } = server(new Unreachable("lost"), "done");
    expect(await once("pay", 5, send)).toBe("done");
    expect(sent[1]).toEqual(sent[0]);
    expect(unanswered("pay")).toBeNull();
  });

  test("stays as it was while its answer is not known", async () => {
    const lost = Array.from({ length: 6 }, () => new Unreachable("lost"));
    const { sent, send } = server(...lost, "done");
    await expect(once("pay", 5, send)).rejects.toBeInstanceOf(Unreachable);
    expect(unanswered("pay")).toBe(5);
    await once("pay", 7, send);
    expect(new Set(sent.map(([body, key]) => `${String(body)} ${key}`)).size).toBe(1);
  });

  test("that was refused gets a new key", async () => {
    const { sent, send } = server(refused(422), "done");
    await expect(once("pay", 5, send)).rejects.toBeInstanceOf(Refused);
    await once("pay", 7, send);
    expect(sent[1]![0]).toBe(7);
    expect(sent[1]![1]).not.toBe(sent[0]![1]);
  });

  test("keeps its key when the session ends after a lost answer", async () => {
    const { send } = server(new Unreachable("lost"), refused(401));
    await expect(once("pay", 5, send)).rejects.toBeInstanceOf(Refused);
    expect(unanswered("pay")).toBe(5);
  });
});

describe("a form", () => {
  const sending = { isPending: false, isIdle: false, error: null as unknown };

  test("is shut while its request is under way, or its outcome is not known", () => {
    expect(awaitsAnswer({ ...sending, isPending: true }, null)).toBe(true);
    expect(awaitsAnswer({ ...sending, error: new Unreachable("lost") }, null)).toBe(true);
    expect(awaitsAnswer({ ...sending, isIdle: true }, { text: "sent before a reload" })).toBe(true);
  });

  test("is open before, after a refusal, and once it is answered", () => {
    expect(awaitsAnswer({ ...sending, isIdle: true }, null)).toBe(false);
    expect(awaitsAnswer({ ...sending, error: refused(422) }, null)).toBe(false);
    expect(awaitsAnswer(sending, { text: "sent before a reload" })).toBe(false);
  });
});
